/*
 * same.h: whether two XML elements are the same, judged by libxml2's DOM and
 * by nothing of codec/, so that a fault there cannot hide itself.
 *
 * Two elements are the same when these are equal: expanded names; the
 * unordered set of attributes; the order of all children; every character of
 * text, white space too. Prefixes, where xmlns stands, quotes, CDATA and
 * character references are not part of it.
 */
#ifndef CLI_SAME_H
#define CLI_SAME_H

#include "codec/terse.h"

#include <libxml/tree.h>

/* The first difference found. */
struct same_diff {
    char path[160]; /* element path: "message/x[2]/item" */
    char text[240];
};

/* Parses n bytes as one document, without network or substituting entities.
 * NULL if it is not well-formed; *diff then says why. The caller frees it by
 * xmlFreeDoc. */
xmlDocPtr same_parse(const char *p, size_t n, struct same_diff *diff);

/* The same, but where the document is not well-formed *ok is false, *diff says
 * why, and what came before the error is returned (NULL if there is nothing).
 */
xmlDocPtr same_parse_part(const char *p, size_t n, bool *ok,
                          struct same_diff *diff);

/* Compares two elements with all that is in them. */
bool same_element(const xmlNode *want, const xmlNode *got,
                  struct same_diff *diff);

/* Compares names and attributes only: for stream headers. */
bool same_start_tag(const xmlNode *want, const xmlNode *got,
                    struct same_diff *diff);

/* First element at or after `node` among its siblings, or NULL. */
xmlNode *same_next_element(xmlNode *node);

#endif
