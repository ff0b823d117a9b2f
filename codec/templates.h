/*
 * templates.h: the stanzas that one direction of a connection remembers, and
 * how a frame says only what is new.
 *
 * A template is the bytes of one field of Frame. A patch is a message of the
 * same type. Merging walks both in order: the k-th field of a number in the
 * patch takes the place of the k-th field of that number in the template
 * (messages are merged in turn); what is left of the patch follows at the end.
 * Two rules make patches small:
 *
 * - A field that is private (text of people, secrets) is kept as a place only.
 *   The patch fills it, or it vanishes. Private fields of the same item, which
 *   differ in form only, share a place: the lowest of their numbers is its
 *   number. So neither what was written nor in which form leaves a trace.
 * - A field that the patch leaves out, and that had the same value as a field
 *   that the patch changed before it, changes in the same way: an origin-id
 *   follows the id. This goes for bytes of 4 and more, and for numbers from
 *   2^32 on.
 */
#ifndef TERSE_TEMPLATES_H
#define TERSE_TEMPLATES_H

#include "schema.h"

/* A value of the template that becomes another one where the patch does not
 * say more. */
struct template_link {
    struct wire_field old, new;
};

/* Those that an entry of the other direction's journal gives: its id and its
 * address (docs/wire.md, "Answers"), for those of the last time. */
enum { TEMPLATE_ID, TEMPLATE_ADDR, TEMPLATE_GIVEN };
struct template_links {
    struct template_link of[TEMPLATE_GIVEN];
    unsigned n;
};

enum {
    PATCH_FIELDS_MAX = 64, /* in one message of a patch */
    PATCH_LINKS_MAX = 16,  /* changed values that others may follow */
    PATCH_DEPTH_MAX = 32,  /* messages in each other, in a template or patch */
    FRAME_DEPTH_MAX = 300, /* in any frame: elements of 256 levels and more */
};

/* Appends to out the patch that makes `to` from `from`, both messages of
 * `type`. *fits is false if no patch does, or none that out has room for; *bare
 * is the size of the patch that would make `to` stripped: choices are made by
 * that. TERSE_ENOMEM. */
TERSE_NODISCARD enum terse_err
template_diff(const struct sc_type *type, struct terse_str from,
              struct terse_str to, const struct template_links *given,
              struct terse_buf *out, bool *fits, size_t *bare);

/* Appends to out what `patch` makes of `from`. TERSE_EFRAME if it is no patch,
 * or over the bounds above. */
TERSE_NODISCARD enum terse_err
template_merge(const struct sc_type *type, struct terse_str from,
               struct terse_str patch, const struct template_links *given,
               struct terse_buf *out);

/* Whether `message` holds private values that must not be deflated together
 * with anything else, since the size would tell of both (TABLE_BULK may). */
bool template_guarded(const struct sc_type *type, struct terse_str message);

/* Where the strings of a stripped message stand in it, those that are long
 * enough to be worth a reference. */
enum { SPANS_MAX = 24, SPAN_LEAST = 10 };
struct template_span {
    uint16_t at, n;
};

/* What template_strip says of its result. */
struct template_outline {
    uint32_t shape; /* hash of which fields are in it: a patch that fits is
                       likely where it is the same */
    bool guarded;   /* template_guarded of what was stripped */
    unsigned n_spans;
    struct template_span spans[SPANS_MAX];
};

/* Appends `message` with all private values emptied; *outline may be NULL. */
TERSE_NODISCARD enum terse_err template_strip(const struct sc_type *type,
                                              struct terse_str message,
                                              struct terse_buf *out,
                                              struct template_outline *outline);

/* Appends `message` with each public string turned by cb (strings_pack or
 * strings_unpack behind it). receives: the strings come from the wire. */
typedef enum terse_err (*template_string_cb)(void *arg, struct terse_str s,
                                             enum sc_kind kind,
                                             struct terse_buf *out);
TERSE_NODISCARD enum terse_err
template_strings(const struct sc_type *type, struct terse_str message,
                 bool receives, template_string_cb cb, void *arg,
                 struct terse_buf *out);

/* Appends a stanza, or a patch, with its attributes id, from and to empty where
 * they are the new values of `given`; fill: the reverse. */
TERSE_NODISCARD enum terse_err
template_blank(const struct sc_type *type, struct terse_str message,
               const struct template_links *given, bool fill,
               struct terse_buf *out);

/* Whether none of them is empty already. */
bool template_can_blank(const struct sc_type *type, struct terse_str message);

/* What a stanza's entry in the journal says: its id (a VARINT of 0 if it has
 * none), and its from, else its to. Borrowed from message. */
void template_names(const struct sc_type *type, struct terse_str message,
                    struct wire_field *id, struct terse_str *addr);

/* Calls cb with each public value that may be linked, until it returns true. */
typedef bool (*template_value_cb)(void *arg, const struct wire_field *value);
bool template_each_value(const struct sc_type *type, struct terse_str message,
                         template_value_cb cb, void *arg);

#endif
