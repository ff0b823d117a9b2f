/* slight.c: frames that say little. */
#include "codec/terse.h"

/* Of terse.Frame and terse.Message: numbers that stay as they are
 * (schemas/lock). What is not among them says something. */
enum { FRAME_MESSAGE = 1 };
static const struct {
    uint32_t first, last;
    bool about; /* what such a message is for; else it stands beside that */
} fields[] = {
    {1, 7, false},     /* to, from, type, id, xml:lang */
    {11, 11, true},    /* chat state */
    {12, 12, false},   /* hint */
    {16, 17, false},   /* xml:lang, id */
    {21, 23, false},   /* thread */
    {28, 29, false},   /* id, thread */
    {206, 210, true},  /* receipt */
    {281, 284, true},  /* displayed */
    {291, 291, true},  /* displayed */
    {306, 309, false}, /* origin-id */
};

static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t byte = *(*p)++;

        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* The next field; its value, if it is bytes, from *value on. */
static bool field(const uint8_t **p, const uint8_t *end, uint64_t *number,
                  const uint8_t **value) {
    uint64_t tag, n;

    if (!varint(p, end, &tag))
        return false;
    *number = tag >> 3;
    *value = NULL;
    if ((tag & 7) == 0)
        return varint(p, end, &n);
    if ((tag & 7) != 2 || !varint(p, end, &n) || n > (uint64_t)(end - *p))
        return false;
    *value = *p;
    *p += n;
    return true;
}

static bool message(const uint8_t *p, const uint8_t *end) {
    const uint8_t *value;
    bool about = false;
    uint64_t number;
    size_t i;

    while (p < end) {
        if (!field(&p, end, &number, &value))
            return false;
        for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
            if (number >= fields[i].first && number <= fields[i].last)
                break;
        if (i == sizeof(fields) / sizeof(fields[0]))
            return false;
        about |= fields[i].about;
    }
    return about;
}

bool terse_frame_slight(const void *frame, size_t n) {
    const uint8_t *p = frame, *end = p + n, *value;
    uint64_t number;

    return field(&p, end, &number, &value) && number == FRAME_MESSAGE &&
           value && p == end && message(value, p);
}
