/*
 * wire.h: one XMPP stream, carried either as XML over TCP or as frames over
 * an nng pair0 socket. What drives it (pair0_driver.c) sees XML either way.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>

/* Prints "TAG TEXT" as one line on stdout; safe from any thread. Line ends and
 * backslashes in text are escaped. The tags a wire emits:
 *   open     the stream header, as an empty element
 *   in       one element of the stream
 *   close    the stream footer
 *   gone     the connection is lost; nothing follows
 *   bad      what came broke a rule; the text says which */
void emit(const char *tag, const char *text, size_t n);

struct wire_ops {
    /* Connects; 0 on success. Events begin at once, on a thread. */
    int (*dial)(const char *address);
    /* Sends the next bytes of the XML stream; 0 on success. */
    int (*send)(const char *xml, size_t n);
    /* A new stream begins, both ways (RFC 6120 section 6.4.6). */
    void (*restart)(void);
    /* Loses the connection with nothing said. */
    void (*drop)(void);
};

extern const struct wire_ops wire_xml;   /* address: host:port */
extern const struct wire_ops wire_pair0; /* address: tcp://host:port */

#endif
