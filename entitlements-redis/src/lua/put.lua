-- Keeps a decision, unless the company was forgotten since the look-up, or newer facts are known. Numbers come as texts of
-- 20 digits, which compare as the numbers do, however large.
-- KEYS: decision, fence. ARGV: 1 generation seen, 2 generation if there is none, 3 4 field and mark of the user seen,
-- 5 6 of the feature, 7 revision, 8 revision of the policies, 9 asked at, 10 life of the fence, 11 decision, 12 its life.
local known = redis.call('HMGET', KEYS[2], 'g', ARGV[3], ARGV[5], 'r', 'p', 'at')
if (known[1] or '') ~= ARGV[1] or (known[2] or '') ~= ARGV[4] or (known[3] or '') ~= ARGV[6] then return 0 end
if (known[4] and known[4] > ARGV[7]) or (known[5] and known[5] > ARGV[8]) then return 0 end
if not known[1] then redis.call('HSET', KEYS[2], 'g', ARGV[2]) end
if known[4] ~= ARGV[7] or known[5] ~= ARGV[8] or not known[6] or known[6] < ARGV[9] then
  redis.call('HSET', KEYS[2], 'r', ARGV[7], 'p', ARGV[8], 'at', ARGV[9])
end
redis.call('PEXPIRE', KEYS[2], ARGV[10])
redis.call('SET', KEYS[1], ARGV[11], 'PX', ARGV[12])
return 1
