"""`tandem:keepalived`: how the master of the virtual IP is elected, and how fast a failover is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from settings.base import FrozenModel, HostName
from settings.lvs import VirtualServer
from settings.tracking import INTERFACE, Command, TrackSettings

MailAddress = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+$", max_length=254)]
ProfileName = Literal["fast", "balanced", "seed"]
Mode = Literal["nopreempt", "preempt", "delayed-preempt", "dual-master"]
LAST_ROUTER_ID = 255  # RFC 5798, 5.2.3
_MAX_RAISED = 100
_RESERVED_NAMES = ("nginx", "drain_")  # of the checks that Tandem writes

# Options of the lectures that cannot work in a VPC, by their names there and as they would be spelled here.
_NO_MULTICAST = (
    "cannot be set: a VPC drops multicast, so both nodes would become master; VRRP is always sent by unicast to the "
    "other eligible node"
)
_NO_STRICT = (
    "cannot be set: vrrp_strict forbids unicast, which a VPC requires, and its packet filter drops all traffic to the "
    "virtual IP"
)
_REFUSED = {
    "multicast": _NO_MULTICAST,
    "multicastGroup": _NO_MULTICAST,
    "vrrpMcastGroup4": _NO_MULTICAST,
    "vrrpStrict": _NO_STRICT,
    "vrrpIptables": "cannot be set: it only has an effect with vrrp_strict; the packet filter of the nodes is "
    "provisioning/services/firewall.py",
}


class GarpSettings(FrozenModel):
    """Gratuitous ARP, with which the new master announces a virtual IP."""

    master_delay_s: int = Field(
        default=1, ge=1, le=60, description="Time after which a new master announces the address again."
    )
    master_repeat: int = Field(default=10, ge=1, le=100, description="Number of packets in each announcement.")
    master_refresh_s: int | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="Time between two periodic announcements of the master; 0: none. Default: 5, which Tencent Cloud "
        "asks for; with the profile `fast` not on the node that becomes backup after a split.",
    )
    interval_ms: int | None = Field(
        default=None, ge=1, le=1000, description="Time between two packets of an announcement. Default: none."
    )


class MailSettings(FrozenModel):
    """Mails that keepalived sends itself (`smtp_alert`), without TLS and login: for a relay inside the VPC."""

    receivers: tuple[MailAddress, ...] = Field(min_length=1, max_length=20, description="Addresses of the receivers.")
    sender: MailAddress = Field(default="keepalived@localhost", description="Address of the sender.")
    server: HostName = Field(default="127.0.0.1", description="SMTP server.")
    port: int = Field(default=25, ge=1, le=65535, description="Port of the SMTP server.")
    connect_timeout_s: int = Field(default=30, ge=1, le=300, description="Time limit of a connection.")


class KeepalivedSettings(FrozenModel):
    profile: ProfileName = Field(
        default="balanced",
        description="Timing of failovers: `fast` (less than a second, for networks that move an address immediately), "
        "`balanced` (for HAVIPs, which can take 10 s to move) or `seed` (the timing of the lecture, for comparison).",
    )
    mode: Mode = Field(
        default="nopreempt",
        description="`nopreempt`: a node that recovers stays backup. `preempt`: the first node becomes master again "
        "when it recovers. `delayed-preempt`: the same, `preemptDelayS` later. `dual-master`: two virtual routers; "
        "each eligible node is master of one of them, and returns to it `preemptDelayS` after it recovers.",
    )
    interface: str = Field(default="eth0", pattern=INTERFACE, description="Network interface for the virtual IP.")
    virtual_router_id: int = Field(
        default=51,
        ge=1,
        le=LAST_ROUTER_ID,
        description="VRRP virtual router id. Must be unique within the VPC. With `mode: dual-master` the next id is "
        "used too, and with `syncGroup` one id for each virtual IP.",
    )
    preempt_delay_s: int = Field(
        default=300,
        ge=0,
        le=1000,
        description="Delay before preemption (`preempt_delay`), with `mode` `delayed-preempt` or `dual-master`.",
    )
    drain_s: int = Field(default=2, ge=0, le=300, description="Duration of the drain before a switchover.")

    priority_step: int = Field(
        default=10,
        ge=1,
        le=100,
        description="Difference in priority between two consecutive nodes, except with `mode: nopreempt`.",
    )
    drain_weight: int = Field(
        default=-20,
        ge=-200,
        le=-1,
        description="Change of a node's priority for a switchover, except with `mode: nopreempt`. "
        "Must exceed `priorityStep` in size.",
    )
    vrrp_version: Literal[2, 3] = Field(
        default=3,
        description="VRRP version. Version 2 sends advertisements once a second at most, and has `authentication`.",
    )
    authentication: Literal["none", "PASS", "AH"] = Field(
        default="none",
        description="Authentication of VRRPv2: `PASS` (a password in plain text) or `AH` (a keyed hash, protocol 51). "
        "The password is generated (`credentials.generation.vrrpPassword`).",
    )
    sync_group: bool = Field(
        default=False,
        description="Each virtual IP has its own virtual router, and all of them move together (`vrrp_sync_group`).",
    )
    address_labels: bool = Field(
        default=False, description="Label the virtual IPs `eth0:1`, `eth0:2` and so on, as `ifconfig` shows them."
    )
    garp: GarpSettings = Field(default=GarpSettings(), description="Gratuitous ARP.")
    track: TrackSettings = Field(default=TrackSettings(), description="Checks in addition to that of nginx.")
    mail: MailSettings | None = Field(default=None, description="Mails that keepalived sends at each state change.")
    notify_command: Command | None = Field(
        default=None,
        description="Your own notify script, by absolute path, run by root. keepalived calls it with the words "
        "INSTANCE or GROUP, the name, the state and the priority. It must exist on both eligible nodes, and only root "
        "may be able to change it.",
    )
    daemon_log: Literal["journal", "file"] = Field(
        default="journal",
        description="Where keepalived's own messages go: to the `journal`, or by rsyslog to the `file` "
        "/var/log/keepalived-daemon.log, from the next start of keepalived on. State changes are in "
        "/var/log/keepalived.log in both cases.",
    )
    virtual_servers: tuple[VirtualServer, ...] = Field(
        default=(),
        max_length=32,
        description="LVS virtual servers. A VPC does not carry their packets, see `lvsNetwork`.",
    )
    lvs_network: Literal["vpc", "switched"] = Field(
        default="vpc",
        description="`switched`: the network of the nodes carries packets with other source addresses than a node's "
        "own, which `virtualServers` needs and a VPC drops (docs/adr/0018).",
    )

    @property
    def delay_s(self) -> int:
        """The delay before preemption in this mode."""
        return self.preempt_delay_s if self.mode in {"delayed-preempt", "dual-master"} else 0

    @model_validator(mode="before")
    @classmethod
    def _no_option_that_splits_the_pair(cls, raw: Any) -> Any:
        for key in raw if isinstance(raw, Mapping) else ():
            if reason := _REFUSED.get(str(key)):
                raise ValueError(f"{key} {reason}")
        return raw

    @model_validator(mode="after")
    def _drain_weight_exceeds_priority_step(self) -> KeepalivedSettings:
        if self.mode != "nopreempt" and -self.drain_weight <= self.priority_step:
            raise ValueError(
                f"drainWeight must be {-self.priority_step - 1} or less with priorityStep {self.priority_step} "
                f"(got {self.drain_weight}); otherwise a drain does not change the order of the nodes"
            )
        return self

    @model_validator(mode="after")
    def _weights_change_the_order(self) -> KeepalivedSettings:
        for key, weight in self.track.weights.items():
            if self.mode != "nopreempt" and abs(weight) <= self.priority_step:
                raise ValueError(
                    f"{key} must exceed priorityStep {self.priority_step} in size with mode {self.mode} (got "
                    f"{weight}); otherwise a failure does not change the order of the nodes"
                )
        return self

    @model_validator(mode="after")
    def _positive_weights_leave_room(self) -> KeepalivedSettings:
        if self.track.raised > _MAX_RAISED:
            raise ValueError(
                f"the positive weights in track must be at most {_MAX_RAISED} in all (got {self.track.raised}): the "
                "priority of a node is lower by that until its checks succeed; use negative weights"
            )
        return self

    @model_validator(mode="after")
    def _mode_fits_router_id(self) -> KeepalivedSettings:
        if self.mode == "dual-master" and self.virtual_router_id == LAST_ROUTER_ID:
            raise ValueError(
                "virtualRouterId must be at most 254 with mode dual-master, because the second address uses the next "
                "id (got 255)"
            )
        return self

    @model_validator(mode="after")
    def _profile_seed_is_the_text_of_the_lecture(self) -> KeepalivedSettings:
        if self.profile != "seed":
            return self
        if self.mode != "nopreempt":
            raise ValueError(f"mode must be nopreempt with profile seed (got {self.mode})")
        changed = sorted(self.model_fields_set & _NOT_IN_SEED)
        if changed:
            keys = [type(self).model_fields[name].alias or name for name in changed]
            raise ValueError(f"{', '.join(keys)} cannot be set with profile seed, which is the text of the lecture")
        return self

    @model_validator(mode="after")
    def _version_has_authentication(self) -> KeepalivedSettings:
        if self.vrrp_version == 3 and self.authentication != "none":  # noqa: PLR2004 - the version of VRRP
            raise ValueError(
                f"authentication must be none with vrrpVersion 3, which has none (RFC 5798, 9) "
                f"(got {self.authentication}); use vrrpVersion 2 with profile balanced"
            )
        if self.vrrp_version == 2 and self.profile == "fast":  # noqa: PLR2004 - the version of VRRP
            raise ValueError(
                "profile must be balanced with vrrpVersion 2 (got fast): version 2 sends advertisements once a second"
            )
        return self

    @model_validator(mode="after")
    def _sync_group_moves_as_one(self) -> KeepalivedSettings:
        if not self.sync_group:
            return self
        if self.mode != "nopreempt":
            raise ValueError(
                f"mode must be nopreempt with syncGroup (got {self.mode}): the virtual routers of a group are "
                "master on the same node"
            )
        if self.track.names or self.track.interfaces:
            raise ValueError(
                "track must be empty with syncGroup: keepalived ignores the weights of checks in a sync group and puts "
                "the node into FAULT instead"
            )
        return self

    @model_validator(mode="after")
    def _names_of_checks_are_unique(self) -> KeepalivedSettings:
        interfaces = [self.interface, *(each.interface for each in self.track.interfaces)]
        for number, name in enumerate(interfaces[1:]):
            if name in interfaces[: number + 1]:
                raise ValueError(
                    f"track.interfaces[{number}].interface must be unique and cannot be {self.interface}, which is "
                    f"always tracked (got {name})"
                )
        names = self.track.names
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the names in track must be unique (got {name} twice)")
            if name.startswith(_RESERVED_NAMES):
                raise ValueError(f"a name in track cannot begin with {' or '.join(_RESERVED_NAMES)} (got {name})")
        return self

    @model_validator(mode="after")
    def _network_carries_lvs(self) -> KeepalivedSettings:
        if self.virtual_servers and self.lvs_network == "vpc":
            raise ValueError(
                "virtualServers cannot be set with lvsNetwork vpc: a VPC drops packets with a source address that is "
                "not the sender's, so no real server would receive a request (docs/adr/0018). Use nginx.streams or a "
                "CLB; in another network set lvsNetwork switched"
            )
        pairs = [(each.address, each.port, each.protocol) for each in self.virtual_servers]
        for number, pair in enumerate(pairs):
            if pair in pairs[:number]:
                raise ValueError(f"virtualServers[{number}] must be unique (got {pair[0]}:{pair[1]}/{pair[2]} twice)")
        return self


# The lecture's text has fixed values for these.
_NOT_IN_SEED = frozenset(
    {"vrrp_version", "authentication", "sync_group", "address_labels", "garp", "track", "mail", "notify_command",
     "virtual_servers"}
)  # fmt: skip
