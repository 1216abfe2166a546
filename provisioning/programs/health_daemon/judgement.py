"""What the results of probes mean. Pure; times are in seconds of one monotonic clock."""

from __future__ import annotations


class Tracker:
    """Judges one target.

    It fails if no probe is answered for `patience_s` after the start of the first unanswered one, and recovers after
    `rise` correct answers in a row. One lost packet is not a failure, because another probe follows within that time.
    """

    __slots__ = (
        "failing", "failing_from", "last_ok", "newest", "patience_s", "rise", "seen", "successes", "suspect_since",
    )  # fmt: skip

    def __init__(self, patience_s: float, rise: int = 1, *, failing: bool = False) -> None:
        self.patience_s, self.rise = patience_s, rise
        self.failing = failing
        self.failing_from = 0.0  # the start of the first probe that was not answered
        self.last_ok = -1.0  # the start of the newest probe that was answered correctly
        self.successes = 0
        self.suspect_since: float | None = None
        self.newest = 0.0  # the start of the newest probe
        self.seen = ""  # what the last probe met, if it was no correct answer

    def started(self, now: float) -> None:
        self.newest = now
        if self.suspect_since is None:
            self.suspect_since = now

    def answered(self, started: float, *, ok: bool, seen: str = "") -> None:
        self.seen = seen
        if not ok:
            self.successes = 0
            return
        self.successes += 1
        self.last_ok = max(self.last_ok, started)
        if self.suspect_since is not None and self.suspect_since <= started:
            self.suspect_since = self.newest if self.newest > started else None
        if self.failing and self.successes >= self.rise:
            self.failing = False

    @property
    def is_unknown(self) -> bool:
        """Whether no probe has ended yet."""
        return self.last_ok < 0 and not self.seen

    def needs_another_probe(self, now: float) -> bool:
        """A lost packet delays one probe by a second, so the next ones follow before the patience is over."""
        return self.suspect_since is not None and not self.failing and now - self.newest >= self.patience_s / 2.6

    def judge(self, now: float) -> bool:
        """Return whether the target has just failed."""
        if self.failing or self.suspect_since is None or now - self.suspect_since < self.patience_s:
            return False
        self.fail(self.suspect_since, self.seen or f"no answer for {self.patience_s * 1000:.0f} ms")
        return True

    def fail(self, since: float, seen: str = "") -> None:
        self.failing, self.failing_from, self.successes = True, since, 0
        self.seen = seen

    def forget(self) -> None:
        """Judge from here on: the target has been restarted, or its state is known from elsewhere."""
        self.failing, self.suspect_since, self.successes = False, None, 0

    def skip(self, lost_s: float) -> None:
        """Do not count time in which this process did not run."""
        if self.suspect_since is not None:
            self.suspect_since += lost_s


class Verdict:
    """Derives the value of the track_file.

    A fault is reported only while a peer answers and is not in FAULT itself, which it must have done since nginx failed
    here: with both nodes in FAULT no node would hold the virtual IP. If both fail, the master keeps it. A fault begins
    only if the peer has answered a probe of the last `prompt_s`: on an overloaded host nginx on both nodes is slow. A
    fault that an earlier daemon has reported stays until the first probe of the peer has ended.
    After a boot the node is in FAULT until nginx answers, or until `boot_until` without a peer that answers.
    """

    def __init__(
        self, nginx: Tracker, peers: list[Tracker], fault: int, *, prompt_s: float, boot_until: float = 0.0
    ) -> None:
        self._nginx, self._peers, self._fault, self._prompt_s = nginx, peers, fault, prompt_s
        self._is_fault = False
        self.boot_until = boot_until

    def value(self, *, lowered: int, now: float) -> int:
        """`lowered` is the value below 0 that a full disk asks for, or 0: a healthy peer becomes master."""
        if not self._nginx.failing:
            self.boot_until, self._is_fault = 0.0, False
            return lowered
        since = 0.0 if self._is_fault else max(self._nginx.failing_from, now - self._prompt_s)
        self._is_fault = any(
            (not peer.failing and peer.last_ok > since) or (self._is_fault and peer.is_unknown) for peer in self._peers
        )
        if now >= self.boot_until:
            self.boot_until = 0.0
        return self._fault if self.boot_until or self._is_fault else lowered

    def keep_fault(self) -> None:
        """Systemd has reported the fault already."""
        self._is_fault = True


class Server:
    """One server of a service: a port of a node, as in an upstream of nginx."""

    __slots__ = ("address", "host", "name", "port", "tracker")

    def __init__(self, name: str, address: str, port: int, tracker: Tracker, host: Tracker | None) -> None:
        self.name, self.address, self.port = name, address, port
        self.tracker = tracker
        self.host = host  # of an eligible node, which has a probe that does not depend on the service

    @property
    def key(self) -> tuple[str, int]:
        return self.address, self.port

    @property
    def failing(self) -> bool:
        return self.tracker.failing or (self.host is not None and self.host.failing)


def servers_out(
    servers: list[Server], before: set[tuple[str, int]], down: set[tuple[str, int]]
) -> set[tuple[str, int]]:
    """Return the servers to which nginx must not connect: those that fail, while another one of the service answers.

    `before` are those that were out, and `down` those that nginx does not use anyway. The last server of a service that
    answers stays, even if it fails, so a slow service is never refused on all nodes.
    """
    out: set[tuple[str, int]] = set()
    for name in {server.name for server in servers}:
        of_service = [server for server in servers if server.name == name]
        failing = {server.key for server in of_service if server.failing}
        used = {server.key for server in of_service} - down
        if used - failing:
            out |= failing
        elif used - (failing & before):
            out |= failing & before
    return out
