/*
 * shelf.h: the templates of one direction, as they are kept: short, with what
 * the books hold of their strings left to them.
 */
#ifndef TERSE_SHELF_H
#define TERSE_SHELF_H

#include "state.h"

/* What template i counts for in the budget; 0 if it is empty. */
uint32_t shelf_cost(const struct state *s, uint64_t i);

/* Whether template i can hold n bytes. */
bool shelf_has_room(const struct state *s, uint64_t i, size_t n);

/* Template i becomes `bare`, a stanza that was stripped. entry: what it was
 * about, or NULL. work: emptied and used. TERSE_EFRAME if it has no room,
 * TERSE_ENOMEM; the template is as it was then. */
TERSE_NODISCARD enum terse_err shelf_set(struct state *s, uint64_t i,
                                         uint32_t number, struct terse_str bare,
                                         const struct template_outline *outline,
                                         const struct entry *entry,
                                         struct terse_buf *work);

/* The whole of template t in out (emptied first); *whole is borrowed from
 * there. */
TERSE_NODISCARD enum terse_err shelf_get(const struct state *s,
                                         const struct template *t,
                                         struct terse_buf *out,
                                         struct terse_str *whole);

/* What an entry, which may be NULL, changes in a template, t, which may be
 * NULL, with its bytes. Borrowed from both. */
struct template_links shelf_links(const struct template *t,
                                  struct terse_str whole,
                                  const struct entry *entry);

#endif
