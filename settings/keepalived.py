"""`tandem:keepalived`: how the master of the virtual IP is elected, and how fast a failover is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from settings.base import FrozenModel

ProfileName = Literal["fast", "balanced", "seed"]
Mode = Literal["non-preempt", "preempt", "dual-master"]


class KeepalivedSettings(FrozenModel):
    profile: ProfileName = Field(
        default="balanced",
        description="Timing of failovers: `fast` (less than a second, for networks that move an address immediately), "
        "`balanced` (for HAVIPs, which can take 10 s to move) or `seed` (the timing of the lecture, for comparison).",
    )
    mode: Mode = Field(
        default="non-preempt",
        description="`non-preempt`: a node that recovers stays backup. `preempt`: the first node becomes master again "
        "when it recovers. `dual-master`: two virtual IPs; each eligible node is master of one of them.",
    )
    interface: str = Field(
        default="eth0", pattern=r"^[a-z][a-z0-9._-]{0,14}$", description="Network interface for the virtual IP."
    )
    virtual_router_id: int = Field(
        default=51,
        ge=1,
        le=255,
        description="VRRP virtual router id. Must be unique within the VPC. With `mode: dual-master` the next id is "
        "used too.",
    )
    preempt_delay_s: int = Field(
        default=0, ge=0, le=1000, description="Delay before preemption (`preempt_delay`), with `mode: preempt`."
    )
    drain_s: int = Field(default=2, ge=0, le=300, description="Duration of the drain before a switchover.")

    priority_step: int = Field(
        default=10,
        ge=1,
        le=100,
        description="Difference in priority between two consecutive nodes, with `mode` `preempt` or `dual-master`.",
    )
    drain_weight: int = Field(
        default=-20,
        ge=-200,
        le=-1,
        description="Change of a node's priority for a switchover, with `mode` `preempt` or `dual-master`. "
        "Must exceed `priorityStep` in size.",
    )

    @model_validator(mode="after")
    def _drain_weight_exceeds_priority_step(self) -> KeepalivedSettings:
        if self.mode != "non-preempt" and -self.drain_weight <= self.priority_step:
            raise ValueError(
                f"drainWeight must be {-self.priority_step - 1} or less with priorityStep {self.priority_step} "
                f"(got {self.drain_weight}); otherwise a drain does not change the order of the nodes"
            )
        return self

    @model_validator(mode="after")
    def _mode_fits_router_id_and_profile(self) -> KeepalivedSettings:
        if self.mode == "dual-master" and self.virtual_router_id == 255:  # noqa: PLR2004 - the last VRID (RFC 5798, 5.2.3)
            raise ValueError(
                "virtualRouterId must be at most 254 with mode dual-master, because the second address uses the next "
                "id (got 255)"
            )
        if self.mode != "non-preempt" and self.profile == "seed":
            raise ValueError(f"mode must be non-preempt with profile seed (got {self.mode})")
        return self
