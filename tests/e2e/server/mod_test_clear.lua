-- Has Prosody take one port for safe without TLS, and offer none there, as a
-- listener of its own would be: all that it has is one setting for all ports.
local port = module:get_option_number("test_clear_port");

local function on_clear_port(session)
	-- LuaSocket gives a string.
	return tonumber(session.conn:serverport()) == port;
end

module:hook("stream-features", function(event)
	local session = event.origin;
	if session.type == "c2s_unauthed" and on_clear_port(session) then
		session.secure = true;
		session.ssl_ctx = false; -- none for STARTTLS
	end
end, 1000);
