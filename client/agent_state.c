/* agent_state.c: the transition table of agent.h. */
#include "client/agent.h"

const char *const agent_state_names[AGENT_STATES] = {
    [AGENT_GREETING] = "greeting", [AGENT_DIALLING] = "dialling",
    [AGENT_PASSING] = "passing",   [AGENT_LEAVING] = "leaving",
    [AGENT_OVER] = "over",
};

const char *const agent_event_names[AGENT_EVENTS] = {
    [AGENT_CONNECTED] = "connected",   [AGENT_FROM_CLIENT] = "from-client",
    [AGENT_FROM_PROXY] = "from-proxy", [AGENT_CLOSE] = "close",
    [AGENT_CLOSED] = "closed",         [AGENT_END] = "end",
};

/* AGENT_END leads from everywhere to AGENT_OVER and has no rows. */
static const struct row {
    enum agent_state state;
    enum agent_event event;
    enum agent_state next;
} rows[] = {
    {AGENT_GREETING, AGENT_FROM_CLIENT, AGENT_DIALLING},
    {AGENT_DIALLING, AGENT_FROM_CLIENT, AGENT_DIALLING},
    {AGENT_DIALLING, AGENT_CLOSE, AGENT_DIALLING},
    {AGENT_DIALLING, AGENT_CONNECTED, AGENT_PASSING},
    {AGENT_PASSING, AGENT_FROM_CLIENT, AGENT_PASSING},
    {AGENT_PASSING, AGENT_FROM_PROXY, AGENT_PASSING},
    {AGENT_PASSING, AGENT_CLOSE, AGENT_LEAVING},
    {AGENT_PASSING, AGENT_CLOSED, AGENT_OVER},
    {AGENT_LEAVING, AGENT_FROM_PROXY, AGENT_LEAVING},
    {AGENT_LEAVING, AGENT_CLOSED, AGENT_OVER},
};

bool agent_next(enum agent_state state, enum agent_event event,
                enum agent_state *next) {
    if (event == AGENT_END) {
        *next = AGENT_OVER;
        return state != AGENT_OVER;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].state == state && rows[i].event == event) {
            *next = rows[i].next;
            return true;
        }
    return false;
}
