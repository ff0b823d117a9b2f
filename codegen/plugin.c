/*
 * protoc-gen-terse: a protoc plugin. Reads a CodeGeneratorRequest from stdin
 * and writes a CodeGeneratorResponse to stdout: tables.c and terse.proto, or
 * an error with a line "file:line: what, fix" for each thing that cannot be
 * mapped. Parameters, with commas between:
 *   vectors=DIR      each RFC and XEP must have a vector in DIR
 *   lock=FILE        nothing may break with the lock in FILE
 *   write_lock=FILE  writes a lock, to take the place of FILE, and nothing else
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codegen/model.h"

typedef Google__Protobuf__Compiler__CodeGeneratorResponse Response;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File ResponseFile;

static int fail(const char *what) {
    fprintf(stderr, "protoc-gen-terse: %s\n", what);
    return 1;
}

static bool read_all(FILE *in, struct text *out) {
    char chunk[65536];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), in)) > 0)
        text_add_n(out, chunk, n);
    return !ferror(in);
}

/* A file of the response, if there is anything in it. */
struct output {
    const char *name;
    struct text text;
};

/* Writes files, or the error where there is one. */
static bool respond(char *error, struct output *outputs, size_t n) {
    ResponseFile *files = mem_new(n, sizeof(*files));
    ResponseFile **list = mem_new(n, sizeof(*list));
    Response response =
        GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
    response.error = error;
    response.file = list;
    for (size_t i = 0; i < n && !error; i++) {
        if (!outputs[i].text.len)
            continue;
        google__protobuf__compiler__code_generator_response__file__init(
            &files[i]);
        files[i].name = (char *)outputs[i].name;
        files[i].content = outputs[i].text.data;
        list[response.n_file++] = &files[i];
    }
    size_t size =
        google__protobuf__compiler__code_generator_response__get_packed_size(
            &response);
    uint8_t *bytes = mem_new(size, 1);
    google__protobuf__compiler__code_generator_response__pack(&response, bytes);
    return fwrite(bytes, 1, size, stdout) == size && fflush(stdout) == 0;
}

struct parameters {
    const char *vectors, *lock, *write_lock; /* NULL where not given */
};

static void read_parameter(char *p, struct parameters *out, struct report *r) {
    struct {
        const char *name;
        const char **value;
    } rows[] = {{"vectors", &out->vectors},
                {"lock", &out->lock},
                {"write_lock", &out->write_lock}};
    struct place nowhere = {"protoc-gen-terse", 0};
    size_t n = strcspn(p, "=");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) && p[n]; i++) {
        if (strlen(rows[i].name) == n && strncmp(p, rows[i].name, n) == 0) {
            *rows[i].value = p + n + 1;
            return;
        }
    }
    report_add(r, nowhere,
               "unknown parameter '%s', write vectors=DIR, lock=FILE or "
               "write_lock=FILE",
               p);
}

static void read_parameters(char *p, struct parameters *out, struct report *r) {
    for (char *one; p && *p && (one = strsep(&p, ",")) != NULL;)
        read_parameter(one, out, r);
}

static void check(struct model *m, const Request *request,
                  const struct parameters *given, struct report *r) {
    if (given->vectors)
        check_vectors(request, given->vectors, r);
    model_load(m, request, r);
    model_bind(m, r);
    if (r->n == 0)
        model_check(m, r);
    if (r->n == 0 && given->lock)
        lock_check(m, given->lock, r);
}

int main(void) {
    enum { TABLES, PROTO, LOCK, OUTPUTS };
    struct output outputs[OUTPUTS] = {
        [TABLES] = {"tables.c", {0}},
        [PROTO] = {"terse.proto", {0}},
        [LOCK] = {"lock", {0}},
    };
    struct text in = {0};
    struct model model = {0};
    struct report report = {0};
    struct parameters given = {0};
    if (!read_all(stdin, &in))
        return fail(strerror(errno));
    Request *request =
        google__protobuf__compiler__code_generator_request__unpack(
            NULL, in.len, (const uint8_t *)in.data);
    if (!request)
        return fail("stdin is no CodeGeneratorRequest; protoc runs "
                    "this program");
    read_parameters(request->parameter ? text_format("%s", request->parameter)
                                       : NULL,
                    &given, &report);
    check(&model, request, &given, &report);
    if (report.n == 0 && given.write_lock) {
        lock_write(&model, given.write_lock, &outputs[LOCK].text, &report);
    } else if (report.n == 0) {
        emit_tables(&model, &outputs[TABLES].text);
        emit_proto(&model, &outputs[PROTO].text);
    }
    if (!respond(report.lines.data, outputs, OUTPUTS))
        return fail(strerror(errno));
    google__protobuf__compiler__code_generator_request__free_unpacked(request,
                                                                      NULL);
    return 0;
}
