/* slight.c: how much a stanza says. */
#include <string.h>

#include "bridge/bridge.h"

static enum bridge_slight of_presence(const struct terse_node *node) {
    struct terse_str type;

    return !terse_node_attr(node, "", "type", &type) ||
                   terse_str_is(type, "unavailable")
               ? BRIDGE_STATE
               : BRIDGE_SAYS;
}

static enum bridge_slight of_child(struct terse_str name, struct terse_str ns) {
    if (terse_str_is(ns, "http://jabber.org/protocol/chatstates"))
        return BRIDGE_STATE;
    if ((terse_str_is(ns, "urn:xmpp:receipts") ||
         terse_str_is(ns, "urn:xmpp:chat-markers:0")) &&
        (terse_str_is(name, "received") || terse_str_is(name, "displayed")))
        return BRIDGE_ABOUT;
    return BRIDGE_SAYS;
}

/* What says nothing by itself. */
static bool is_wrapping(struct terse_str name, struct terse_str ns) {
    return terse_str_is(ns, "urn:xmpp:hints") ||
           terse_str_is(ns, "urn:xmpp:sid:0") ||
           terse_str_is(ns, "urn:xmpp:mam:tmp") || terse_str_is(name, "thread");
}

static enum bridge_slight of_message(const struct terse_node *node) {
    const struct terse_node *child = terse_node_child(node);
    enum bridge_slight found = BRIDGE_SAYS, one;

    for (; child; child = terse_node_next(child)) {
        struct terse_str name = terse_node_name(child);
        struct terse_str ns = terse_node_ns(child);

        one = of_child(name, ns);
        if (one == BRIDGE_SAYS && !is_wrapping(name, ns))
            return BRIDGE_SAYS;
        if (one == BRIDGE_ABOUT || (one && !found))
            found = one;
    }
    return found;
}

enum bridge_slight bridge_slight(const struct terse_node *node) {
    if (!terse_str_is(terse_node_ns(node), TERSE_NS_CLIENT))
        return BRIDGE_SAYS;
    if (terse_str_is(terse_node_name(node), "presence"))
        return of_presence(node);
    return terse_str_is(terse_node_name(node), "message") ? of_message(node)
                                                          : BRIDGE_SAYS;
}
