"""What `redis_events` has done inside Redis, in one step each."""

TELL = """
-- Add an event to the stream of what lasts, or of states; both share one count. It names the
-- lasting one before it, so that whoever reads sees when one was forgotten unread.
local before = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
before = before and string.match(before[1], '^%d+') or '0'
local number = redis.call('INCR', KEYS[3])
local lasts, most = ARGV[1] == '1', tonumber(ARGV[2])
redis.call('XADD', lasts and KEYS[1] or KEYS[2], number .. '-0',
  'body', ARGV[3], 'topics', ARGV[4], 'about', ARGV[5], 'at', ARGV[6], 'before', before)
if not lasts then
  redis.call('XTRIM', KEYS[2], 'MAXLEN', '~', 5000)
  return number
end
local over = redis.call('XLEN', KEYS[1]) - most
if over > 0 then
  local gone = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', over)
  redis.call('SET', KEYS[4], string.match(gone[#gone][1], '^%d+'))
  redis.call('XTRIM', KEYS[1], 'MAXLEN', most)
end
return number
"""

STAND = """
-- Say that a process lives and which ones have died, forget what is old, tell how things stand.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('SET', KEYS[5], ARGV[4], 'NX')
local dead = false
for _, process in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  if process ~= ARGV[1] then
    redis.call('ZREM', KEYS[1], process)
    dead = true
  end
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
if dead then
  -- What it had not told yet nobody knows.
  redis.call('XADD', KEYS[2], redis.call('INCR', KEYS[3]) .. '-0',
    'body', '', 'topics', '', 'about', '', 'at', string.format('%.0f', now), 'before', '0')
end
for _ = 1, 1000 do
  local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  if not first or tonumber(first[2][8]) >= tonumber(ARGV[3]) then break end
  redis.call('SET', KEYS[4], string.match(first[1], '^%d+'))
  redis.call('XDEL', KEYS[2], first[1])
end
return {redis.call('GET', KEYS[5]), redis.call('GET', KEYS[3]) or '0',
  redis.call('GET', KEYS[4]) or '0'}
"""
