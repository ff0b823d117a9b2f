/*
 * mobile_input.h: any bytes as what phones and servers say of sessions: checked
 * by tests/fuzz/proxy_mobile_fuzz.c and, in little, by proxy_input_test.c. What
 * must not be calls abort().
 */
#ifndef MOBILE_INPUT_H
#define MOBILE_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* The first byte says what the others are. */
enum mobile_input {
    MOBILE_AUTHENTICATE, /* XML behind a header: <authenticate/> */
    MOBILE_ID,           /* of a session */
    MOBILE_PLAIN,        /* base64: the first message of that mechanism */
    MOBILE_SCRAM,
    MOBILE_TOKEN,
    MOBILE_COUNTS, /* what happens to counts and to the queue, see .c */
    MOBILE_INPUTS,
};

void mobile_input(const uint8_t *p, size_t n);

#endif
