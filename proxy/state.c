/* state.c: see state.h. */
#include "proxy/state.h"

#include <stddef.h>

const char *const state_names[STATE_COUNT] = {
    [STATE_GREETING] = "greeting", [STATE_DIALLING] = "dialling",
    [STATE_PROBING] = "probing",   [STATE_ASKING] = "asking",
    [STATE_SECURING] = "securing", [STATE_LOGIN] = "login",
    [STATE_RESTART] = "restart",   [STATE_UP] = "up",
    [STATE_LEAVING] = "leaving",   [STATE_OVER] = "over",
};

const char *const event_names[EVENT_COUNT] = {
    [EVENT_CLIENT_OPEN] = "client-open",
    [EVENT_CLIENT_ELEMENT] = "client-element",
    [EVENT_CLIENT_CLOSE] = "client-close",
    [EVENT_CONNECTED] = "connected",
    [EVENT_CONNECTED_OFF] = "connected-off",
    [EVENT_CONNECTED_DIRECT] = "connected-direct",
    [EVENT_SERVER_OPEN] = "server-open",
    [EVENT_SERVER_ELEMENT] = "server-element",
    [EVENT_OFFER] = "offer",
    [EVENT_NO_OFFER] = "no-offer",
    [EVENT_PROCEED] = "proceed",
    [EVENT_SECURED] = "secured",
    [EVENT_SUCCESS] = "success",
    [EVENT_SUCCESS2] = "success2",
    [EVENT_SERVER_ERROR] = "server-error",
    [EVENT_SERVER_CLOSE] = "server-close",
    [EVENT_END] = "end",
};

/* EVENT_END leads from everywhere to STATE_OVER and has no rows. */
static const struct row {
    enum state state;
    enum event event;
    enum state next;
} rows[] = {
    {STATE_GREETING, EVENT_CLIENT_OPEN, STATE_DIALLING},
    {STATE_GREETING, EVENT_CLIENT_CLOSE, STATE_OVER},

    {STATE_DIALLING, EVENT_CONNECTED, STATE_PROBING},
    {STATE_DIALLING, EVENT_CONNECTED_OFF, STATE_LOGIN},
    {STATE_DIALLING, EVENT_CONNECTED_DIRECT, STATE_SECURING},

    {STATE_PROBING, EVENT_SERVER_OPEN, STATE_PROBING},
    {STATE_PROBING, EVENT_OFFER, STATE_ASKING},
    {STATE_PROBING, EVENT_NO_OFFER, STATE_LOGIN},
    {STATE_PROBING, EVENT_SERVER_ERROR, STATE_PROBING},
    {STATE_PROBING, EVENT_SERVER_CLOSE, STATE_OVER},

    {STATE_ASKING, EVENT_PROCEED, STATE_SECURING},
    {STATE_ASKING, EVENT_SERVER_ERROR, STATE_ASKING},
    {STATE_ASKING, EVENT_SERVER_CLOSE, STATE_OVER},

    {STATE_SECURING, EVENT_SECURED, STATE_LOGIN},

    {STATE_LOGIN, EVENT_CLIENT_ELEMENT, STATE_LOGIN},
    {STATE_LOGIN, EVENT_CLIENT_CLOSE, STATE_LEAVING},
    {STATE_LOGIN, EVENT_SERVER_OPEN, STATE_LOGIN},
    {STATE_LOGIN, EVENT_SERVER_ELEMENT, STATE_LOGIN},
    {STATE_LOGIN, EVENT_SUCCESS, STATE_RESTART},
    {STATE_LOGIN, EVENT_SUCCESS2, STATE_UP},
    {STATE_LOGIN, EVENT_SERVER_ERROR, STATE_LOGIN},
    {STATE_LOGIN, EVENT_SERVER_CLOSE, STATE_OVER},

    {STATE_RESTART, EVENT_CLIENT_OPEN, STATE_UP},
    {STATE_RESTART, EVENT_CLIENT_CLOSE, STATE_LEAVING},
    {STATE_RESTART, EVENT_SERVER_CLOSE, STATE_OVER},

    {STATE_UP, EVENT_CLIENT_ELEMENT, STATE_UP},
    {STATE_UP, EVENT_CLIENT_CLOSE, STATE_LEAVING},
    {STATE_UP, EVENT_SERVER_OPEN, STATE_UP},
    {STATE_UP, EVENT_SERVER_ELEMENT, STATE_UP},
    {STATE_UP, EVENT_SERVER_ERROR, STATE_UP},
    {STATE_UP, EVENT_SERVER_CLOSE, STATE_OVER},

    {STATE_LEAVING, EVENT_SERVER_OPEN, STATE_LEAVING},
    {STATE_LEAVING, EVENT_SERVER_ELEMENT, STATE_LEAVING},
    {STATE_LEAVING, EVENT_SUCCESS, STATE_LEAVING},
    {STATE_LEAVING, EVENT_SUCCESS2, STATE_LEAVING},
    {STATE_LEAVING, EVENT_SERVER_ERROR, STATE_LEAVING},
    {STATE_LEAVING, EVENT_SERVER_CLOSE, STATE_OVER},
};

bool state_next(enum state state, enum event event, enum state *next) {
    if (event == EVENT_END) {
        *next = STATE_OVER;
        return state != STATE_OVER;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].state == state && rows[i].event == event) {
            *next = rows[i].next;
            return true;
        }
    return false;
}
