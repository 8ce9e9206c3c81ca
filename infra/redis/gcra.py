"""GCRA, the generic cell rate algorithm (ITU-T I.371): a rate with a burst, kept in one number. Pure.

The number is the *theoretical arrival time*: when the bucket would be full again. `LUA` is the same rule for Redis,
which uses Redis' own clock so that hosts need not agree on theirs; a property test holds the two together.
"""

from dataclasses import dataclass

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_s` requests per second in the long run, `burst` at once."""

    per_s: int
    burst: int

    @property
    def interval_us(self) -> float:
        """Return the microseconds that one request costs."""
        return MICROSECONDS / self.per_s


@dataclass(frozen=True, slots=True)
class Taken:
    """What a bucket granted: `granted` requests, `remaining` after them, `wait_us` until it can grant the least."""

    granted: int
    remaining: int
    wait_us: int
    arrival_us: float


def take(arrival_us: float, now_us: float, rate: Rate, want: int, least: int = 1) -> Taken:
    """Take up to `want` requests from a bucket whose theoretical arrival time is `arrival_us`, none below `least`."""
    start = max(arrival_us, now_us)
    room = max(int((now_us + rate.burst * rate.interval_us - start) / rate.interval_us + 1e-9), 0)
    if room >= least:
        granted = min(want, room)
        return Taken(granted, room - granted, 0, start + granted * rate.interval_us)
    wait = int(start + (least - rate.burst) * rate.interval_us - now_us) + 1
    return Taken(0, room, max(wait, 0), start)


LUA = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local least = tonumber(ARGV[4])
local start = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local room = math.max(math.floor((now + burst * interval - start) / interval + 1e-9), 0)
if room >= least then
  local granted = math.min(want, room)
  local arrival = start + granted * interval
  redis.call('SET', KEYS[1], string.format('%.3f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
  return {granted, room - granted, 0}
end
return {0, room, math.max(math.floor(start + (least - burst) * interval - now) + 1, 0)}
"""
"""KEYS: bucket; ARGV: interval in microseconds, burst, want, least. Returns granted, remaining, wait in us."""
