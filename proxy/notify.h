/*
 * notify.h: tells systemd how it goes (sd_notify(3)), by a datagram to the
 * socket that $NOTIFY_SOCKET names. Without one, nothing happens.
 */
#ifndef PROXY_NOTIFY_H
#define PROXY_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Sends `state`, e.g. "READY=1\nSTATUS=…". */
void notify_send(const char *state);
/* "RELOADING=1", with the time that systemd wants beside it. */
void notify_reloading(void);
/* How often to send "WATCHDOG=1", in milliseconds: half of what systemd waits.
 * 0: it does not. */
uint32_t notify_watchdog(void);

#endif
