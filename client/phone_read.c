/* phone_read.c: what elements and frames say, for phone.h and who uses it. */
#include "client/phone.h"

#include <string.h>

struct terse_node *phone_child(const struct terse_node *node, const char *ns,
                               const char *name) {
    struct terse_node *child = node ? terse_node_child(node) : NULL;

    while (child && !terse_node_is(child, ns, name))
        child = terse_node_next(child);
    return child;
}

bool phone_text(const struct terse_node *node, char *out, size_t size) {
    struct terse_str text;

    return terse_node_text(node, &text) && terse_str_copy(text, out, size);
}

bool phone_attr(const struct terse_node *node, const char *name, char *out,
                size_t size) {
    struct terse_str value;

    out[0] = '\0';
    return !terse_node_attr(node, "", name, &value) ||
           terse_str_copy(value, out, size);
}

/* As XEP-0198 writes a count. */
static bool number(struct terse_str digits, uint32_t *h) {
    uint64_t v = 0;
    bool good = digits.n > 0 && digits.n <= 10;

    for (size_t i = 0; good && i < digits.n; i++) {
        unsigned digit = (unsigned char)digits.p[i] - (unsigned)'0';

        good = digit <= 9;
        v = v * 10 + digit;
    }
    *h = (uint32_t)v;
    return good && v <= UINT32_MAX;
}

bool phone_count(const struct terse_node *node, uint32_t *h, bool *has) {
    struct terse_str digits;

    *h = 0;
    *has = terse_node_attr(node, "", "h", &digits) && digits.n > 0;
    return !*has || number(digits, h);
}

bool phone_frame_count(const struct terse_schema *schema, const void *frame,
                       size_t n, uint32_t *h) {
    struct terse_buf text;
    bool found = false, good;

    terse_buf_init(&text, 16);
    good = !terse_frame_attr(schema, frame, n, "", "h", &text, &found) &&
           found &&
           number((struct terse_str){(const char *)terse_buf_data(&text),
                                     text.len},
                  h);
    terse_buf_fini(&text);
    return good;
}
