"""How long and how often: the numbers of a full run and of a quick one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Numbers of one invocation.

    Attributes:
        rounds: repetitions of everything; the median of them is the result.
        seconds: measured window of one run.
        warmup_s: before each window.
        connections: of the closed loop.
        open_connections: of the open loop, at most in use at once.
        lead_s: how much longer than a measurement the load beside it lasts: it begins first and must not end first.
        long_s: window of the run at 60 % of the peak.
        listed: orders made beforehand for replays and state commands.
        appends_s: seconds per batch size of the append call alone.
        wal_segments: WAL files made beforehand, 16 MB each.
    """

    rounds: int = 5
    seconds: float = 5.0
    warmup_s: float = 1.0
    connections: tuple[int, ...] = (1, 16, 64, 256)
    open_connections: int = 256
    lead_s: float = 3.0
    long_s: float = 60.0
    listed: int = 4000
    appends_s: float = 2.0
    wal_segments: int = 128


FULL = Pace()
QUICK = Pace(
    rounds=1,
    seconds=0.6,
    warmup_s=0.2,
    connections=(1, 16, 64),
    open_connections=128,
    long_s=2.0,
    listed=1000,
    appends_s=0.3,
    wal_segments=8,
)
