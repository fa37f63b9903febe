/** The scripts of the index. `lua/script.ts` writes its lines, and says what their scores are. */

/**
 * Reads one shard of a machine's index: up to as many lines of each list as asked for, in the order of the page.
 *
 * KEYS[1] the index; ARGV[1] lines of a list at most, ARGV[2] `oldest` or `newest`, ARGV[3] how old a line must be in
 * milliseconds, ARGV[4] milliseconds added to the clock, ARGV[5] and ARGV[6] the instant and the name of the line to go on
 * after, "" for none, ARGV[7] and further: the numbers of the lists
 *
 * Returns the time, then for each list its names and instants in turn. Compares names byte by byte, as the sorted set does:
 * Lua's own comparison depends on the server's locale.
 */
export const LIST = `local function isBefore(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
local most, isOldest, name = tonumber(ARGV[1]), ARGV[2] == "oldest", ARGV[6]
local after = name ~= "" and tonumber(ARGV[5])
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[4]
local reply = { string.format("%.0f", now) }
for i = 7, #ARGV do
  local base = ARGV[i] * 1e14
  local low, high = base, base + now - ARGV[3]
  if after and isOldest then low = base + after end
  if after and not isOldest then high = math.min(high, base + after) end
  local from, to = string.format("%.0f", low), string.format("%.0f", high)
  local found, offset, some = {}, 0, nil
  repeat
    if isOldest then
      some = redis.call("ZRANGEBYSCORE", KEYS[1], from, to, "WITHSCORES", "LIMIT", offset, most)
    else
      some = redis.call("ZREVRANGEBYSCORE", KEYS[1], to, from, "WITHSCORES", "LIMIT", offset, most)
    end
    for j = 1, #some, 2 do
      local at = some[j + 1] - base
      local isTie = after and at == after
      local isNext = not isTie or (isOldest and isBefore(name, some[j])) or (not isOldest and isBefore(some[j], name))
      if isNext and #found < 2 * most then
        table.insert(found, some[j])
        table.insert(found, string.format("%.0f", at))
      end
    end
    offset = offset + most
  until #found >= 2 * most or #some < 2 * most
  table.insert(reply, found)
end
return reply`;

/**
 * Corrects lines whose record is gone or is elsewhere, unless they were written again meanwhile.
 *
 * KEYS[1] the index; ARGV: for each line its name, its score, and its new score, "" to remove it
 */
export const MEND = `for i = 1, #ARGV, 3 do
  local score = redis.call("ZSCORE", KEYS[1], ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    if ARGV[i + 2] == "" then redis.call("ZREM", KEYS[1], ARGV[i], "~" .. ARGV[i])
    else redis.call("ZADD", KEYS[1], ARGV[i + 2], ARGV[i]) end
  end
end
return "OK"`;
