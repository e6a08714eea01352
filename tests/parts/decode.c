/* Decodes files of frames by a library that may decode alone: for check_parts.py. Knows qsgd.h
 * alone. Lines on stdin are `frame tables output`, tables being - or a file of shared tables; each
 * gives one line: QSGD_OK, and the tensor in the output, or the name of a status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qsgd.h"

enum { MOST_BYTES = 1 << 20, MOST_ELEMENTS = 1 << 20, MOST_PATH = 1024 };

static uint64_t read_file(const char *path, uint8_t *to) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) exit(3);
    const size_t bytes = fread(to, 1, MOST_BYTES, f);
    fclose(f);
    return bytes;
}

/* Floats of every kind as float32, which is what golden frames' checksums are of. */
static qsgd_status decode(const char *path, const char *tables_path, qsgd_memory *out) {
    static uint8_t frame[MOST_BYTES], tables[MOST_BYTES];
    const uint64_t bytes = read_file(path, frame);
    qsgd_bytes known = {tables, 0};
    qsgd_decode_options options;
    qsgd_frame_info info;
    qsgd_error error;
    qsgd_decode_options_init(&options);
    qsgd_frame_info_init(&info);
    qsgd_error_init(&error);
    options.max_elements = MOST_ELEMENTS;
    if (strcmp(tables_path, "-") != 0) {
        known.bytes = read_file(tables_path, tables);
        options.shared_tables = &known;
        options.shared_tables_count = 1;
    }
    if (qsgd_inspect(frame, bytes, &info, &error) == QSGD_OK && info.dtype <= QSGD_BFLOAT16) {
        options.dtype = QSGD_FLOAT32; /* of kinds of floats alone */
    }
    return qsgd_decode_alloc(frame, bytes, &options, NULL, out, NULL, &error);
}

int main(int argc, char **argv) {
    char frame[MOST_PATH], tables[MOST_PATH], output[MOST_PATH];
    if (argc != 2 || qsgd_set_backend(argv[1], NULL) != QSGD_OK) return 2;
    if (qsgd_selftest(NULL) != QSGD_OK) return 4;
    while (scanf("%1023s %1023s %1023s", frame, tables, output) == 3) {
        qsgd_memory values;
        const qsgd_status status = decode(frame, tables, &values);
        puts(qsgd_status_name(status));
        if (status != QSGD_OK) continue;
        FILE *f = fopen(output, "wb");
        if (f == NULL || fwrite(values.data, 1, values.bytes, f) != values.bytes) return 3;
        fclose(f);
        qsgd_free(NULL, values.data);
    }
    return 0;
}
