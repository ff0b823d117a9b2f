/*
 * lock.c: schemas/lock holds what was released, a line for each element, field
 * and value. What others have built on stays as it is; what is added says in
 * `since` that it is newer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen/model.h"

enum { TOKENS_MAX = 10 };

/* A line of the lock. Its first tokens, kind, owner and but for an element the
 * number, are its key; the others say what it is. */
struct row {
    const char *token[TOKENS_MAX];
    size_t n;
    size_t n_key;
    uint64_t since;
    struct place at;
};

struct lock {
    struct row *rows; /* by key */
    size_t n;
    unsigned revision; /* that was released */
    struct place at;   /* where it says so */
    bool draft;        /* or is to be: nobody has built on it */
};

/* ---- rows -----------------------------------------------------------------
 */

static long number_of(const struct row *row) {
    return row->n_key > 2 ? strtol(row->token[2], NULL, 10) : 0;
}

static int by_key(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    int order = strcmp(x->token[0], y->token[0]);
    if (order == 0)
        order = strcmp(x->token[1], y->token[1]);
    if (order != 0)
        return order;
    long i = number_of(x), j = number_of(y);
    return i < j ? -1 : i > j;
}

static void sort_rows(struct lock *lock) {
    if (lock->n > 0)
        qsort(lock->rows, lock->n, sizeof(*lock->rows), by_key);
}

static const struct row *find_row(const struct lock *lock,
                                  const struct row *key) {
    if (lock->n == 0)
        return NULL;
    return bsearch(key, lock->rows, lock->n, sizeof(*key), by_key);
}

/* The row of the same owner and name, whatever its number. */
static const struct row *find_name(const struct lock *lock,
                                   const struct row *like) {
    for (size_t i = 0; i < lock->n && like->n_key > 2; i++) {
        const struct row *row = &lock->rows[i];
        if (strcmp(row->token[0], like->token[0]) == 0 &&
            strcmp(row->token[1], like->token[1]) == 0 &&
            strcmp(row->token[3], like->token[3]) == 0)
            return row;
    }
    return NULL;
}

static bool has_owner(const struct lock *lock, const struct row *like) {
    for (size_t i = 0; i < lock->n; i++)
        if (strcmp(lock->rows[i].token[0], like->token[0]) == 0 &&
            strcmp(lock->rows[i].token[1], like->token[1]) == 0)
            return true;
    return false;
}

/* "Message.body", or "Ping" of an element. */
static const char *label(const struct row *row) {
    return row->n_key > 2 ? text_format("%s.%s", row->token[1], row->token[3])
                          : row->token[1];
}

/* Cuts `line` into a row of `lock`; false if it is none. Takes the line. */
static bool add_row(struct lock *lock, char *line, struct place at) {
    static const struct {
        const char *kind;
        size_t n, n_key;
    } kinds[] = {
        {"element", 3, 2}, {"field", 10, 3}, {"file", 3, 2}, {"value", 6, 3}};
    struct row row = {.since = 1, .at = at};
    for (char *t; (t = strsep(&line, " ")) != NULL;) {
        if (row.n == TOKENS_MAX)
            return false;
        row.token[row.n++] = t;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(row.token[0], kinds[i].kind) == 0 && row.n == kinds[i].n)
            row.n_key = kinds[i].n_key;
    if (row.n_key == 0)
        return false;
    *MEM_PUSH(lock->rows, lock->n) = row;
    return true;
}

/* ---- rows of the schemas --------------------------------------------------
 */

/* No blank may stand in a token. */
static void add_token(struct text *out, const char *s) {
    struct text escaped = {0};
    text_add(&escaped, "");
    text_add_escaped(&escaped, s);
    for (const char *p = escaped.data; *p; p++)
        text_add_n(out, *p == ' ' ? "\\040" : p, *p == ' ' ? 4 : 1);
    free(escaped.data);
}

static void add_item(struct text *out, const struct field *f) {
    static const char *const binds[] = {
        [BIND_NONE] = "own",       [BIND_ATTR] = "attr",
        [BIND_TEXT] = "text",      [BIND_LEAF] = "leaf",
        [BIND_LEAF_ATTR] = "leaf", [BIND_FLAG] = "flag",
        [BIND_CHOICE] = "choice",  [BIND_CHILD] = "child",
        [BIND_REST] = "rest",
    };
    text_add(out, binds[f->bind]);
    if (f->ns) {
        text_add(out, ":{");
        add_token(out, f->ns);
        text_add(out, "}");
    }
    if (f->name)
        add_token(out, f->name);
    if (f->attr) {
        text_add(out, "@");
        add_token(out, f->attr);
    }
}

static bool is_repeated(const struct field *f) {
    return f->desc->label ==
           GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED;
}

static void add_field_row(struct lock *lock, const struct message *in,
                          const struct field *f) {
    struct text line = {0};
    text_printf(&line, "field %s %d %s %s %s ", in->proto, f->desc->number,
                f->proto, model_type_name(f),
                is_repeated(f) ? "repeated" : "optional");
    add_item(&line, f);
    text_printf(&line, " %s %s since:%u", model_form_name(f->form),
                f->rule.private ? f->rule.bulk ? "bulk" : "private" : "open",
                (unsigned)f->since);
    add_row(lock, line.data, f->at);
    lock->rows[lock->n - 1].since = f->since;
}

static void add_message_rows(struct lock *lock, const struct message *m) {
    if (m->element.given) {
        struct text line = {0};
        text_printf(&line, "element %s {", m->proto);
        add_token(&line, m->element.ns);
        text_add(&line, "}");
        add_token(&line, m->element.name);
        add_row(lock, line.data, m->at);
    }
    for (size_t i = 0; i < m->n_fields; i++)
        add_field_row(lock, m, &m->fields[i]);
}

static void add_enum_rows(struct lock *lock, const struct enumeration *e) {
    for (size_t i = 0; i < e->n_values; i++) {
        const struct value *v = &e->values[i];
        struct text line = {0};
        text_printf(&line, "value %s %d %s \"", e->proto, v->number, v->proto);
        add_token(&line, v->text);
        text_printf(&line, "\" since:%u", (unsigned)v->since);
        add_row(lock, line.data, v->at);
        lock->rows[lock->n - 1].since = v->since;
    }
}

/* The model for short text stands beside the lock: what it means must not
 * change either. */
static void add_text_model(struct lock *lock, const char *path) {
    static const char name[] = "text.model";
    const char *slash = strrchr(path, '/');
    char *beside =
        text_format("%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name);
    FILE *in = fopen(beside, "rb");
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    if (!in)
        return;
    for (int c; (c = getc(in)) != EOF;)
        hash = (hash ^ (uint64_t)c) * UINT64_C(1099511628211);
    fclose(in);
    add_row(
        lock,
        text_format("file %s fnv1a:%016llx", name, (unsigned long long)hash),
        (struct place){name, 1});
}

static void lock_of_model(struct lock *lock, const struct model *m,
                          const char *path) {
    for (size_t i = 0; i < m->n_messages; i++)
        add_message_rows(lock, &m->messages[i]);
    for (size_t i = 0; i < m->n_enums; i++)
        add_enum_rows(lock, &m->enums[i]);
    add_text_model(lock, path);
    sort_rows(lock);
    lock->revision = model_revision(m);
}

/* ---- the file -------------------------------------------------------------
 */

static void read_line(struct lock *lock, char *line, struct place at,
                      struct report *r) {
    unsigned revision;
    int end = 0;
    if (line[0] == '#' || line[0] == '\0')
        return;
    if (sscanf(line, "revision %5u%n", &revision, &end) == 1 &&
        (line[end] == '\0' || strcmp(line + end, " draft") == 0)) {
        lock->revision = revision;
        lock->draft = line[end] != '\0';
        lock->at = at;
        return;
    }
    if (!add_row(lock, line, at))
        report_add(r, at, "no line of a lock, take it from the last commit");
}

static bool read_lock(struct lock *lock, const char *path, struct report *r) {
    FILE *in = fopen(path, "r");
    struct place at = {path, 0};
    char *line = NULL;
    size_t cap = 0;
    if (!in) {
        report_add(r, at, "cannot be read, run make lock");
        return false;
    }
    for (ssize_t n; (n = getline(&line, &cap, in)) >= 0;) {
        at.line++;
        if (n > 0 && line[n - 1] == '\n')
            line[n - 1] = '\0';
        read_line(lock, text_format("%s", line), at, r);
    }
    free(line);
    fclose(in);
    if (lock->revision == 0 && r->n == 0)
        report_add(r, at, "has no revision, take it from the last commit");
    sort_rows(lock);
    return r->n == 0;
}

/* ---- what may not be ------------------------------------------------------
 */

static void check_changed(const struct row *was, const struct row *is,
                          unsigned next, struct report *r) {
    for (size_t i = is->n_key; i < is->n; i++)
        if (strcmp(was->token[i], is->token[i]) != 0)
            report_add(r, is->at,
                       "%s is %s, released as %s: put it back, or add another "
                       "with since: %u",
                       label(is), is->token[i], was->token[i], next);
}

static void check_released(const struct row *was, const struct lock *now,
                           unsigned next, struct report *r) {
    const struct row *is = find_row(now, was);
    const struct row *moved = is ? NULL : find_name(now, was);
    if (is)
        check_changed(was, is, next, r);
    else if (moved)
        report_add(r, moved->at, "%s = %s, released as %s: put it back",
                   label(moved), moved->token[2], was->token[2]);
    else
        report_add(r, was->at, "%s is gone, put it back", label(was));
}

/* Whoever knows only what was released must not be sent it. What stands in a
 * new message or enum is reached by a new field alone. */
static void check_added(const struct row *is, const struct lock *released,
                        struct report *r) {
    bool value = strcmp(is->token[0], "value") == 0;
    if (is->n_key < 3 || is->since > released->revision ||
        find_row(released, is) || find_name(released, is) ||
        !has_owner(released, is))
        return;
    report_add(
        r, is->at, "%s is new, add %s %u", label(is),
        value ? "(terse.value_since) =" : "since:", released->revision + 1);
}

void lock_check(const struct model *m, const char *path, struct report *r) {
    struct lock now = {0}, released = {0};
    if (!read_lock(&released, path, r))
        return;
    lock_of_model(&now, m, path);
    for (size_t i = 0; i < released.n; i++)
        check_released(&released.rows[i], &now, released.revision + 1, r);
    for (size_t i = 0; i < now.n; i++)
        check_added(&now.rows[i], &released, r);
    if (released.draft && r->n > 0)
        report_add(r, released.at,
                   "is a draft, run make lock if all this is meant");
}

static const char intro[] =
    "# What was released of the schemas: docs/schemas.md, \"Growing\".\n"
    "# Written by `make lock`.\n";

void lock_write(const struct model *m, const char *path, struct text *out,
                struct report *r) {
    struct lock now = {0}, old = {.draft = true};
    if (access(path, F_OK) == 0 && !read_lock(&old, path, r))
        return;
    if (!old.draft)
        lock_check(m, path, r);
    lock_of_model(&now, m, path);
    text_add(out, intro);
    text_printf(out, "revision %u%s\n", now.revision,
                old.draft ? " draft" : "");
    for (size_t i = 0; i < now.n; i++) {
        for (size_t j = 0; j < now.rows[i].n; j++)
            text_printf(out, "%s%s", j ? " " : "", now.rows[i].token[j]);
        text_add(out, "\n");
    }
}
