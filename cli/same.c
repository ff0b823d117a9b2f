/*
 * same.c: see same.h. Walks both trees in step, without recursion: how deep
 * they are is the input's choice.
 */
#include "same.h"

#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Whether node is the stream's root, which is no part of a stanza's path. */
static bool is_stream_root(const xmlNode *node) {
    return (!node->parent || node->parent->type != XML_ELEMENT_NODE) &&
           strcmp((const char *)node->name, "stream") == 0;
}

/* Names the element `node` and those around it, outermost first; the start is
 * cut where it does not fit. */
static void set_path(struct same_diff *diff, const xmlNode *node) {
    size_t at = sizeof(diff->path) - 1;
    diff->path[at] = '\0';
    for (; node && node->type == XML_ELEMENT_NODE; node = node->parent) {
        size_t n = strlen((const char *)node->name);
        bool slash = diff->path[at] != '\0';
        if (n + slash > at || (slash && is_stream_root(node)))
            break;
        at -= slash;
        if (slash)
            diff->path[at] = '/';
        at -= n;
        memcpy(diff->path + at, node->name, n);
    }
    memmove(diff->path, diff->path + at, sizeof(diff->path) - at);
}

__attribute__((format(printf, 3, 4))) static bool
differ(struct same_diff *diff, const xmlNode *node, const char *fmt, ...) {
    va_list ap;
    set_path(diff, node);
    va_start(ap, fmt);
    vsnprintf(diff->text, sizeof(diff->text), fmt, ap);
    va_end(ap);
    return false;
}

/* Keeps the first error that makes a document wrong. Namespace names that are
 * no URI are complained about by libxml2, but wrong they are not. */
static void on_error(void *arg, xmlErrorPtr error) {
    xmlError *first = arg;
    bool fault =
        error->domain == XML_FROM_NAMESPACE
            ? error->code < XML_WAR_NS_URI || error->code > XML_WAR_NS_COLUMN
            : error->level >= XML_ERR_ERROR;
    if (fault && first->code == XML_ERR_OK)
        xmlCopyError(error, first);
}

xmlDocPtr same_parse_part(const char *p, size_t n, bool *ok,
                          struct same_diff *diff) {
    xmlParserCtxtPtr ctxt = n <= INT32_MAX ? xmlNewParserCtxt() : NULL;
    *ok = false;
    diff->path[0] = '\0';
    if (!ctxt) {
        snprintf(diff->text, sizeof(diff->text), "out of memory");
        return NULL;
    }
    xmlError error = {.code = XML_ERR_OK};
    xmlSetStructuredErrorFunc(&error, on_error);
    xmlDocPtr doc =
        xmlCtxtReadMemory(ctxt, p, (int)n, NULL, "UTF-8",
                          XML_PARSE_NONET | XML_PARSE_HUGE | XML_PARSE_NOCDATA |
                              XML_PARSE_RECOVER);
    xmlSetStructuredErrorFunc(NULL, NULL);
    *ok = doc && ctxt->wellFormed && error.code == XML_ERR_OK;
    if (!*ok) {
        const char *why = error.message ? error.message : "nothing to parse";
        snprintf(diff->text, sizeof(diff->text), "libxml2: %.*s",
                 (int)strcspn(why, "\r\n"), why);
    }
    xmlResetError(&error);
    xmlFreeParserCtxt(ctxt);
    return doc;
}

xmlDocPtr same_parse(const char *p, size_t n, struct same_diff *diff) {
    bool ok;
    xmlDocPtr doc = same_parse_part(p, n, &ok, diff);
    if (ok)
        return doc;
    xmlFreeDoc(doc);
    return NULL;
}

xmlNode *same_next_element(xmlNode *node) {
    while (node && node->type != XML_ELEMENT_NODE)
        node = node->next;
    return node;
}

static const char *ns_of(const xmlNs *ns) {
    return ns && ns->href ? (const char *)ns->href : "";
}

static bool same_name(const xmlNode *want, const xmlNode *got,
                      struct same_diff *diff) {
    if (xmlStrEqual(want->name, got->name) &&
        strcmp(ns_of(want->ns), ns_of(got->ns)) == 0)
        return true;
    return differ(diff, want, "element {%.80s}%.60s became {%.80s}%.60s",
                  ns_of(want->ns), (const char *)want->name, ns_of(got->ns),
                  (const char *)got->name);
}

static bool same_attr(const xmlNode *want, const xmlAttr *attr,
                      const xmlNode *got, struct same_diff *diff) {
    xmlNode *g = (xmlNode *)(uintptr_t)got; /* the API lacks const only */
    const xmlChar *ns = attr->ns ? attr->ns->href : NULL;
    xmlAttr *other = ns ? xmlHasNsProp(g, attr->name, ns)
                        : xmlHasNsProp(g, attr->name, NULL);
    if (!other)
        return differ(diff, want, "attribute '%.60s' is lost",
                      (const char *)attr->name);
    xmlChar *a = xmlNodeListGetString(attr->doc, attr->children, 1);
    xmlChar *b = xmlNodeListGetString(other->doc, other->children, 1);
    /* An empty value may have no child node at all. */
    bool same = strcmp(a ? (char *)a : "", b ? (char *)b : "") == 0;
    if (!same)
        differ(diff, want, "attribute '%.60s' was '%.60s', became '%.60s'",
               (const char *)attr->name, a ? (char *)a : "",
               b ? (char *)b : "");
    xmlFree(a);
    xmlFree(b);
    return same;
}

bool same_start_tag(const xmlNode *want, const xmlNode *got,
                    struct same_diff *diff) {
    unsigned n = 0;
    if (!same_name(want, got, diff))
        return false;
    for (const xmlAttr *a = got->properties; a; a = a->next)
        n++;
    for (const xmlAttr *a = want->properties; a; a = a->next, n--)
        if (!same_attr(want, a, got, diff))
            return false;
    if (n != 0) /* every wanted one is there, so the others are new */
        return differ(diff, want, "%u attributes are new", n);
    return true;
}

static bool is_text(const xmlNode *node) {
    return node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE;
}

/* A run of text: the text nodes from `node` on, as one string of bytes. */
struct run {
    const xmlNode *node;
    const char *p;
};

/* The next byte of the run, or -1 at its end. */
static int run_next(struct run *run) {
    while (run->node && is_text(run->node)) {
        if (run->p && *run->p)
            return (unsigned char)*run->p++;
        run->node = run->node->next;
        run->p = run->node && is_text(run->node)
                     ? (const char *)run->node->content
                     : NULL;
    }
    return -1;
}

static struct run run_start(const xmlNode *node) {
    bool text = node && is_text(node);
    return (struct run){node, text ? (const char *)node->content : NULL};
}

/* Compares the runs of text at *want and *got (either may be empty) and moves
 * both over them. */
static bool same_text(const xmlNode *parent, const xmlNode **want,
                      const xmlNode **got, struct same_diff *diff) {
    struct run a = run_start(*want), b = run_start(*got);
    size_t at = 0;
    int x, y;
    do {
        x = run_next(&a);
        y = run_next(&b);
        at++;
    } while (x == y && x >= 0);
    if (x != y)
        return differ(diff, parent, "text differs at its byte %zu", at);
    *want = a.node;
    *got = b.node;
    return true;
}

/* Compares what stands at *want and *got up to the next child element in both.
 * At the end of the children both are NULL. */
static bool same_upto_child(const xmlNode *parent, const xmlNode **want,
                            const xmlNode **got, struct same_diff *diff) {
    if (!same_text(parent, want, got, diff))
        return false;
    if (!*want && !*got)
        return true;
    if (!*want)
        return differ(diff, parent, "child '%.60s' is new",
                      (const char *)(*got)->name);
    if (!*got)
        return differ(diff, parent, "child '%.60s' is lost",
                      (const char *)(*want)->name);
    if ((*want)->type != XML_ELEMENT_NODE || (*got)->type != XML_ELEMENT_NODE)
        return differ(diff, parent, "something that is no element or text");
    return same_start_tag(*want, *got, diff);
}

bool same_element(const xmlNode *want, const xmlNode *got,
                  struct same_diff *diff) {
    const xmlNode *w = want, *g = got;
    if (!same_start_tag(want, got, diff))
        return false;
    /* w and g are a pair of elements whose start tags are the same. */
    for (;;) {
        const xmlNode *wn = w->children, *gn = g->children;
        for (;;) {
            if (!same_upto_child(w, &wn, &gn, diff))
                return false;
            if (wn)
                break; /* down into the child */
            if (w == want)
                return true;
            wn = w->next;
            gn = g->next;
            w = w->parent;
            g = g->parent;
        }
        w = wn;
        g = gn;
    }
}
