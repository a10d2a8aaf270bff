"""The same rules as `limits.windows`, for a Redis or Valkey: one script, several requests a call, each all or nothing.

KEYS: who is alive, who has sent which batch, then the meters' states, all of one hash slot. ARGV: the worker, microseconds after
which a silent worker is dead, the number of this worker's batch of changes, the orders in MessagePack, and microseconds after
which a silent worker is forgotten. The clock is the server's.
"""

from typing import Final

from gatewright.limits.meters import KEPT
from gatewright.limits.windows import NEVER, RING, SOON_US
from gatewright.stores.leases import SHARE

_CONSTANTS: Final = f"local RING, KEPT, SHARE, NEVER, SOON = {RING}, {KEPT}, {SHARE}, {NEVER}, {SOON_US}\n"
SCRIPT: Final = (
    _CONSTANTS
    + """
local FAR = 3600 * 1000000
local worker, stale, batch = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local orders = cmsgpack.unpack(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- The newest sub-bucket (or when the period began), and the total. What is out of the window is taken off.
local function state(key, kind, span, ends)
  if kind == 2 then
    local total, held = 0, redis.call('HGETALL', key)
    for i = 1, #held, 2 do
      local seen = tonumber(redis.call('HGET', KEYS[1], held[i]) or nil)
      if seen and now - seen < stale then
        total = total + tonumber(held[i + 1])
      else
        redis.call('HDEL', key, held[i])
      end
    end
    return 0, total
  end
  local newest, total = unpack(redis.call('HMGET', key, 'n', 't'))
  newest, total = tonumber(newest or 0), tonumber(total or 0)
  if kind == 1 then
    if newest < span or (newest >= ends and newest - now > FAR) then
      if newest < span then total = 0 end
      redis.call('HSET', key, 'n', span, 't', total)
      return span, total
    end
    return newest, total
  end
  local bucket = math.floor(now / span)
  local gone = bucket - newest
  if gone >= RING then
    redis.call('DEL', key)
    redis.call('HSET', key, 'n', bucket, 't', 0)
    return bucket, 0
  elseif gone > 0 then
    local cells = {}
    for b = newest + 1, bucket do cells[#cells + 1] = b % RING end
    for _, counted in ipairs(redis.call('HMGET', key, unpack(cells))) do
      if counted then total = total - tonumber(counted) end
    end
    redis.call('HDEL', key, unpack(cells))
    redis.call('HSET', key, 'n', bucket, 't', total)
    return bucket, total
  elseif gone < -KEPT then
    redis.call('DEL', key)
    redis.call('HSET', key, 'n', bucket, 't', total, bucket % RING, total)
    return bucket, total
  end
  return newest, total
end

local function wait(key, kind, span, ends, over, newest)
  if kind == 2 then return SOON end
  if kind == 1 then return math.max(0, ends - now) end
  for oldest = newest - KEPT, newest do
    over = over - tonumber(redis.call('HGET', key, oldest % RING) or 0)
    if over <= 0 then return (oldest + RING) * span - now end
  end
  return (newest + RING) * span - now
end

local function add(key, kind, mark, by, ttl)
  if kind == 2 then
    if redis.call('HINCRBY', key, worker, by) <= 0 then redis.call('HDEL', key, worker) end
  else
    if kind == 0 then redis.call('HINCRBY', key, mark % RING, by) end
    redis.call('HINCRBY', key, 't', by)
  end
  if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
end

-- claim: key, kind, span, ends, cost, extra, bound, ttl
local function reserve(claims)
  local newest, total, worst = {}, {}, nil
  for i, c in ipairs(claims) do
    newest[i], total[i] = state(KEYS[c[1]], c[2], c[3], c[4])
    local over = total[i] + c[5] - c[7]
    if c[5] > 0 and over > 0 then
      local waits = NEVER
      if c[5] <= c[7] then waits = wait(KEYS[c[1]], c[2], c[3], c[4], over, newest[i]) end
      if worst == nil or waits > worst[3] then worst = {0, i - 1, waits, math.max(0, c[7] - total[i])} end
    end
  end
  if worst then return worst end
  local got = {}
  for i, c in ipairs(claims) do
    local room = c[7] - total[i] - c[5]
    local extra = math.max(0, math.min(c[6], math.floor(room / SHARE)))
    if c[5] + extra > 0 then add(KEYS[c[1]], c[2], newest[i], c[5] + extra, c[8]) end
    got[i] = {newest[i], room - extra, extra}
  end
  return {1, got, now}
end

-- change: key, kind, span, ends, mark, by, ttl
local function adjust(c)
  local key, kind, mark, by = KEYS[c[1]], c[2], c[5], c[6]
  if kind == 2 then return add(key, kind, 0, by, c[7]) end
  local newest, total = state(key, kind, c[3], c[4])
  if kind == 1 then
    if newest == mark then add(key, kind, mark, math.max(by, -total), c[7]) end
  elseif by > 0 then
    add(key, kind, newest, by, c[7])
  elseif newest - RING < mark and mark <= newest then
    by = math.max(by, -tonumber(redis.call('HGET', key, mark % RING) or 0))
    if by ~= 0 then add(key, kind, mark, by, c[7]) end
  end
end

if redis.call('HSET', KEYS[1], worker, now) == 1 then  -- a new one: room is made for it
  local seen, forgotten = redis.call('HGETALL', KEYS[1]), tonumber(ARGV[5])
  for i = 1, #seen, 2 do
    if now - tonumber(seen[i + 1]) > forgotten then
      redis.call('HDEL', KEYS[1], seen[i])
      redis.call('HDEL', KEYS[2], seen[i])
    end
  end
end
redis.call('PEXPIRE', KEYS[1], 86400000)
if batch > 0 then  -- once, however often it is sent
  if tonumber(redis.call('HGET', KEYS[2], worker) or 0) < batch then
    redis.call('HSET', KEYS[2], worker, batch)
    for _, change in ipairs(orders[1]) do adjust(change) end
  end
  redis.call('PEXPIRE', KEYS[2], 86400000)
end
local answers = {}
for i, claims in ipairs(orders[2]) do answers[i] = reserve(claims) end
local seen = {}
for i, c in ipairs(orders[3]) do
  local newest, total = state(KEYS[c[1]], c[2], c[3], c[4])
  local waits = 0
  if total + 1 > c[7] then
    waits = NEVER
    if c[7] >= 1 then waits = wait(KEYS[c[1]], c[2], c[3], c[4], total + 1 - c[7], newest) end
  end
  seen[i] = {total, waits}
end
for _, c in ipairs(orders[4]) do
  redis.call('DEL', KEYS[c[1]])
  local newest = state(KEYS[c[1]], c[2], c[3], c[4])
  add(KEYS[c[1]], c[2], newest, c[5], c[8])
end
return cmsgpack.pack({answers, seen})
"""
)
