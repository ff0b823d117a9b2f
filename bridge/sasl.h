/*
 * sasl.h: whom a mechanism's first message names. Who passes a login on, and
 * cannot check it, reads exactly what the server will, or nothing.
 */
#ifndef BRIDGE_SASL_H
#define BRIDGE_SASL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BRIDGE_SASL_DATA = 16384, /* most of what SASL says at once, in base64 */
    BRIDGE_SASL_NAME = 1024,  /* a user's name */
};

/* Bytes from base64, up to three for each four characters and fewer than
 * BRIDGE_SASL_DATA, into out, which has to have room; how many, or -1. */
int bridge_unbase64(const char *base64, uint8_t *out);

/* The name in the first message of PLAIN or SCRAM-*, in base64. False: none, or
 * there is room for doubt, e.g. another identity to act for. */
bool bridge_sasl_user(const char *mechanism, const char *base64,
                      char user[BRIDGE_SASL_NAME]);

#endif
