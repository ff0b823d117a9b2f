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

enum {
    PATCH_FIELDS_MAX = 64, /* in one message of a patch */
    PATCH_LINKS_MAX = 16,  /* changed values that others may follow */
    PATCH_DEPTH_MAX = 32,  /* messages in each other, in a template or patch */
    FRAME_DEPTH_MAX = 300, /* in any frame: elements of 256 levels and more */
};

/* Appends to out the patch that makes `to` from `from`, both messages of
 * `type`. *fits is false if no patch does. Errors are out's. */
TERSE_NODISCARD enum terse_err template_diff(const struct terse_schema *schema,
                                             const struct sc_type *type,
                                             struct terse_str from,
                                             struct terse_str to,
                                             struct terse_buf *out, bool *fits);

/* Appends to out what `patch` makes of `from`. TERSE_EFRAME if it is no patch,
 * or over the bounds above. */
TERSE_NODISCARD enum terse_err template_merge(const struct terse_schema *schema,
                                              const struct sc_type *type,
                                              struct terse_str from,
                                              struct terse_str patch,
                                              struct terse_buf *out);

/* Whether `message` holds private values that must not be deflated together
 * with anything else, since the size would tell of both (TABLE_BULK may). */
bool template_guarded(const struct terse_schema *schema,
                      const struct sc_type *type, struct terse_str message);

/* Appends `message` with all private values emptied. */
TERSE_NODISCARD enum terse_err template_strip(const struct terse_schema *schema,
                                              const struct sc_type *type,
                                              struct terse_str message,
                                              struct terse_buf *out);

/* Appends `message` with each public string turned by cb (slots_pack or
 * slots_unpack behind it). define: whether its field is one whose values come
 * again. */
typedef enum terse_err (*template_string_cb)(void *arg, struct terse_str s,
                                             bool define,
                                             struct terse_buf *out);
TERSE_NODISCARD enum terse_err
template_strings(const struct terse_schema *schema, const struct sc_type *type,
                 struct terse_str message, template_string_cb cb, void *arg,
                 struct terse_buf *out);

#endif
