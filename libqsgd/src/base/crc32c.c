/* CRC-32C (Castagnoli), as FORMAT.md section 2 defines it: sixteen bytes at a time by tables, on
 * any machine. */
#include "base/crc32c.h"

#include "base/bits.h"

/* What is left of bits 0 to 7 of byte j of a 128-bit word after the word has passed. */
#define BITS_0                                                                                     \
    0xF20C0DFE, 0xE1F46D0D, 0xC604ACEB, 0x89E52F27, 0x162628BF, 0x2C4C517E, 0x5898A2FC, 0xB13145F8
#define BITS_1                                                                                     \
    0x678EFD01, 0xCF1DFA02, 0x9BD782F5, 0x3243731B, 0x6486E636, 0xC90DCC6C, 0x97F7EE29, 0x2A03AAA3
#define BITS_2                                                                                     \
    0x54075546, 0xA80EAA8C, 0x55F123E9, 0xABE247D2, 0x5228F955, 0xA451F2AA, 0x4D4F93A5, 0x9A9F274A
#define BITS_3                                                                                     \
    0x30D23865, 0x61A470CA, 0xC348E194, 0x837DB5D9, 0x03171D43, 0x062E3A86, 0x0C5C750C, 0x18B8EA18
#define BITS_4                                                                                     \
    0x3171D430, 0x62E3A860, 0xC5C750C0, 0x8E62D771, 0x1929D813, 0x3253B026, 0x64A7604C, 0xC94EC098
#define BITS_5                                                                                     \
    0x9771F7C1, 0x2B0F9973, 0x561F32E6, 0xAC3E65CC, 0x5D90BD69, 0xBB217AD2, 0x73AE8355, 0xE75D06AA
#define BITS_6                                                                                     \
    0xCB567BA5, 0x934081BB, 0x236D7587, 0x46DAEB0E, 0x8DB5D61C, 0x1E87DAC9, 0x3D0FB592, 0x7A1F6B24
#define BITS_7                                                                                     \
    0xF43ED648, 0xED91DA61, 0xDECFC233, 0xB873F297, 0x750B93DF, 0xEA1727BE, 0xD1C2398D, 0xA66805EB
#define BITS_8                                                                                     \
    0x493C7D27, 0x9278FA4E, 0x211D826D, 0x423B04DA, 0x847609B4, 0x0D006599, 0x1A00CB32, 0x34019664
#define BITS_9                                                                                     \
    0x68032CC8, 0xD0065990, 0xA5E0C5D1, 0x4E2DFD53, 0x9C5BFAA6, 0x3D5B83BD, 0x7AB7077A, 0xF56E0EF4
#define BITS_10                                                                                    \
    0xEF306B19, 0xDB8CA0C3, 0xB2F53777, 0x6006181F, 0xC00C303E, 0x85F4168D, 0x0E045BEB, 0x1C08B7D6
#define BITS_11                                                                                    \
    0x38116FAC, 0x7022DF58, 0xE045BEB0, 0xC5670B91, 0x8F2261D3, 0x1BA8B557, 0x37516AAE, 0x6EA2D55C
#define BITS_12                                                                                    \
    0xDD45AAB8, 0xBF672381, 0x7B2231F3, 0xF64463E6, 0xE964B13D, 0xD725148B, 0xABA65FE7, 0x52A0C93F
#define BITS_13                                                                                    \
    0xA541927E, 0x4F6F520D, 0x9EDEA41A, 0x38513EC5, 0x70A27D8A, 0xE144FB14, 0xC76580D9, 0x8B277743
#define BITS_14                                                                                    \
    0x13A29877, 0x274530EE, 0x4E8A61DC, 0x9D14C3B8, 0x3FC5F181, 0x7F8BE302, 0xFF17C604, 0xFBC3FAF9
#define BITS_15                                                                                    \
    0xF26B8303, 0xE13B70F7, 0xC79A971F, 0x8AD958CF, 0x105EC76F, 0x20BD8EDE, 0x417B1DBC, 0x82F63B78

/* table[j][v], byte j of value v: the sum of its bits. */
#define BIT(v, i, left) (((v) >> (i) & 1) * (left))
#define SUM(v, a, b, c, d, e, f, g, h)                                                             \
    BIT(v, 0, a) ^ BIT(v, 1, b) ^ BIT(v, 2, c) ^ BIT(v, 3, d) ^ BIT(v, 4, e) ^ BIT(v, 5, f) ^      \
        BIT(v, 6, g) ^ BIT(v, 7, h)
#define X4(v, ...)                                                                                 \
    SUM(v, __VA_ARGS__), SUM((v) + 1, __VA_ARGS__), SUM((v) + 2, __VA_ARGS__),                     \
        SUM((v) + 3, __VA_ARGS__)
#define X16(v, ...)                                                                                \
    X4(v, __VA_ARGS__), X4((v) + 4, __VA_ARGS__), X4((v) + 8, __VA_ARGS__),                        \
        X4((v) + 12, __VA_ARGS__)
#define X64(v, ...)                                                                                \
    X16(v, __VA_ARGS__), X16((v) + 16, __VA_ARGS__), X16((v) + 32, __VA_ARGS__),                   \
        X16((v) + 48, __VA_ARGS__)
#define X256(...)                                                                                  \
    {X64(0U, __VA_ARGS__), X64(64U, __VA_ARGS__), X64(128U, __VA_ARGS__), X64(192U, __VA_ARGS__)}

static const uint32_t table[16][256] = {X256(BITS_0),  X256(BITS_1),  X256(BITS_2),  X256(BITS_3),
                                        X256(BITS_4),  X256(BITS_5),  X256(BITS_6),  X256(BITS_7),
                                        X256(BITS_8),  X256(BITS_9),  X256(BITS_10), X256(BITS_11),
                                        X256(BITS_12), X256(BITS_13), X256(BITS_14), X256(BITS_15)};

uint32_t crc32c_portable(uint32_t crc, const uint8_t *p, size_t n) {
    for (; n >= 16; n -= 16, p += 16) {
        const uint64_t low = load_le64(p) ^ crc, high = load_le64(p + 8);
        crc = 0;
        for (int j = 0; j < 8; j++) {
            crc ^= table[j][low >> (8 * j) & 255] ^ table[8 + j][high >> (8 * j) & 255];
        }
    }
    for (; n > 0; n--, p++) crc = crc >> 8 ^ table[15][(crc ^ *p) & 255];
    return crc;
}
