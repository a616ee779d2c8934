-- Forgets a company, or a user or feature of it. KEYS: fence. ARGV: 1 new mark, 2 life of the fence, 3 field of the user or
-- feature, absent for the company. A fence with very many fields is begun anew, which forgets more, and is as right.
local whole = not ARGV[3] or redis.call('HLEN', KEYS[1]) > 1000
if whole then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'g', ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
