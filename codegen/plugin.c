/*
 * protoc-gen-terse: a protoc plugin. Reads a CodeGeneratorRequest from stdin
 * and writes a CodeGeneratorResponse to stdout: tables.c and terse.proto, or
 * an error with a line "file:line: what, fix" for each thing that cannot be
 * mapped. Parameter vectors=DIR: each RFC and XEP must have a vector in DIR.
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

/* Writes files, or the error where there is one. */
static bool respond(char *error, char *tables, char *proto) {
    ResponseFile files[2];
    ResponseFile *list[] = {&files[0], &files[1]};
    Response response =
        GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
    google__protobuf__compiler__code_generator_response__file__init(&files[0]);
    google__protobuf__compiler__code_generator_response__file__init(&files[1]);
    files[0].name = "tables.c";
    files[0].content = tables;
    files[1].name = "terse.proto";
    files[1].content = proto;
    response.error = error;
    if (!error) {
        response.n_file = 2;
        response.file = list;
    }
    size_t n =
        google__protobuf__compiler__code_generator_response__get_packed_size(
            &response);
    uint8_t *bytes = mem_new(n, 1);
    google__protobuf__compiler__code_generator_response__pack(&response, bytes);
    return fwrite(bytes, 1, n, stdout) == n && fflush(stdout) == 0;
}

static void check_parameter(const Request *request, struct report *r) {
    static const char vectors[] = "vectors=";
    const char *p = request->parameter;
    struct place nowhere = {"protoc-gen-terse", 0};
    if (!p || !*p)
        return;
    if (strncmp(p, vectors, strlen(vectors)) == 0)
        check_vectors(request, p + strlen(vectors), r);
    else
        report_add(r, nowhere, "unknown parameter '%s', write vectors=DIR", p);
}

int main(void) {
    struct text in = {0}, tables = {0}, proto = {0};
    struct model model = {0};
    struct report report = {0};
    if (!read_all(stdin, &in))
        return fail(strerror(errno));
    Request *request =
        google__protobuf__compiler__code_generator_request__unpack(
            NULL, in.len, (const uint8_t *)in.data);
    if (!request)
        return fail("stdin is no CodeGeneratorRequest; protoc runs "
                    "this program");
    check_parameter(request, &report);
    model_load(&model, request, &report);
    model_bind(&model, &report);
    if (report.n == 0)
        model_check(&model, &report);
    if (report.n == 0) {
        emit_tables(&model, &tables);
        emit_proto(&model, &proto);
    }
    if (!respond(report.lines.data, tables.data, proto.data))
        return fail(strerror(errno));
    google__protobuf__compiler__code_generator_request__free_unpacked(request,
                                                                      NULL);
    return 0;
}
