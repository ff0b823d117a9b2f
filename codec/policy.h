/*
 * policy.h: what a sender remembers, and what it refers to. All choices are
 * here; another policy needs no other receiver (docs/wire.md, "State"). None
 * may depend on a private value, only on whether there is one: sizes would
 * tell.
 */
#ifndef TERSE_POLICY_H
#define TERSE_POLICY_H

#include "state.h"

/* What is to be sent, and what it will change when its frame is written. */
struct plan {
    const struct sc_type *type;
    struct terse_str content, bare; /* bare: stripped; p NULL: too deep */
    uint32_t number;
    struct template_outline outline; /* of bare */
    bool guarded;   /* it has private values that must not be deflated */
    bool list;      /* long: takes no slots, and where deflate halves it no
                       template either */
    uint32_t heard; /* entries of the other journal, to be told of */
    struct wire_field id; /* of its own entry */
    struct terse_str addr;
    bool has_entry;
    struct entry entry; /* of the other journal: what it is about */
    bool enters;        /* the journal of this direction */
    int template;       /* that it becomes, or -1 */
};

static inline const struct entry *plan_entry(const struct plan *p) {
    return p->has_entry ? &p->entry : NULL;
}

/* Fills in what type, content, number, bare and outline lead to. */
void policy_begin(struct state *s, struct plan *p);

/* Whether entering is to be on from this stanza on. */
bool policy_entering(const struct state *s, const struct plan *p);

/* How many more entries of the other direction were heard of, if it is time to
 * say so; they count as told then. */
uint32_t policy_heard(struct state *s);

/* The template to be patched, or -1, and the patch in work->a. work: b and e
 * are used. */
TERSE_NODISCARD enum terse_err policy_template(struct state *s,
                                               const struct plan *p,
                                               struct terse_work *work,
                                               int *best);

/* The template to give up for a new one of n bytes, or -1. */
int policy_victim(const struct state *s, size_t n);

/* Whether a frame of n bytes is worth deflating, and the templates to try as
 * its dictionary: their number. One that makes so small a part of the frame is
 * all but the same: no other is tried. */
enum { DICTIONARIES = 4, DEFLATED_ENOUGH = 16 };
bool policy_deflates(const struct plan *p, size_t n);
unsigned policy_dictionaries(const struct state *s, int out[DICTIONARIES]);

/* What is done with a string: a template_string_cb. */
struct packing {
    struct strings strings;
    bool list;
};
enum terse_err policy_string(void *arg, struct terse_str s, enum sc_kind kind,
                             struct terse_buf *out);

#endif
