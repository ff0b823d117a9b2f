/* corpus.c: see corpus.h. */
#include "corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/records.h"

static void *checked(void *p) {
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

void strs_add(struct strs *strs, const void *p, size_t n) {
    if (strs->n == strs->cap) {
        strs->cap = strs->cap ? strs->cap * 2 : 64;
        strs->v = checked(realloc(strs->v, strs->cap * sizeof(*strs->v)));
    }
    char *copy = checked(malloc(n + 1));
    if (n > 0)
        memcpy(copy, p, n);
    strs->v[strs->n++] = (struct terse_str){copy, n};
}

void strs_free(struct strs *strs) {
    for (size_t i = 0; i < strs->n; i++)
        free((char *)(uintptr_t)strs->v[i].p);
    free(strs->v);
    *strs = (struct strs){0};
}

static struct session *new_session(struct corpus *corpus, const char *name) {
    size_t size = (corpus->n + 1) * sizeof(*corpus->sessions);
    corpus->sessions = checked(realloc(corpus->sessions, size));
    struct session *s = &corpus->sessions[corpus->n++];
    *s = (struct session){.name = name};
    return s;
}

/* A stream begins with its first header and has no other; elements are fed one
 * by one, as they arrive. */
static void add_record(struct corpus *corpus, struct session *s,
                       const struct record *rec) {
    struct strs *xml = &s->dir[rec->dir].xml;
    if (rec->kind == RECORD_OPEN && xml->n == 0)
        strs_add(xml, rec->xml.p, rec->xml.n);
    if (rec->kind != RECORD_ELEMENTS)
        return;
    if (xml->n == 0)
        strs_add(xml, rec->header.p, rec->header.n);
    strs_add(xml, rec->xml.p, rec->xml.n);
    strs_add(&s->order, NULL, 0);
    s->order.v[s->order.n - 1].n = (size_t)rec->dir;
    corpus->elements++;
    corpus->xml_bytes += rec->xml.n;
}

static void load_file(struct corpus *corpus, const char *name) {
    struct records records;
    struct record rec;
    struct session *s = NULL;
    enum records_result result = RECORDS_IO;
    if (records_init(&records, name))
        while ((result = records_next(&records, &rec)) == RECORDS_ONE &&
               rec.dir >= 0) {
            if (!s || rec.new_conn)
                s = new_session(corpus, name);
            add_record(corpus, s, &rec);
        }
    if (result != RECORDS_END || !s) {
        fprintf(stderr, "%s:%lu: no recorded session: %s\n", name, records.line,
                records.error);
        exit(1);
    }
    s->last = true;
    records_fini(&records);
}

void corpus_load(struct corpus *corpus, char **files, int n) {
    static const char footer[] = "</stream:stream>";
    *corpus = (struct corpus){0};
    for (int i = 0; i < n; i++)
        load_file(corpus, files[i]);
    for (size_t i = 0; i < corpus->n; i++)
        for (int d = 0; d < 2; d++)
            if (corpus->sessions[i].dir[d].xml.n > 0)
                strs_add(&corpus->sessions[i].dir[d].xml, footer,
                         strlen(footer));
}

void corpus_free(struct corpus *corpus) {
    for (size_t i = 0; i < corpus->n; i++) {
        struct session *s = &corpus->sessions[i];
        for (int d = 0; d < 2; d++) {
            strs_free(&s->dir[d].xml);
            strs_free(&s->dir[d].frames);
            strs_free(&s->dir[d].wire);
        }
        strs_free(&s->order);
    }
    free(corpus->sessions);
    *corpus = (struct corpus){0};
}
