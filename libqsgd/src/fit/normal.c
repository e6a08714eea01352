/* Normal distribution: Taylor series about the nearest multiple of 1/8, from a table. */
#include "fit/normal.h"

#include <stdint.h>
#include <string.h>

/* {1 - Phi(x), phi(x)} at x = k / 8, correctly rounded (computed with 60 decimal digits). */
#define KNOTS 73
static const double knot[KNOTS][2] = {
    {0x1.0000000000000p-1, 0x1.9884533d43651p-2},   {0x1.cd116c3bf96a6p-2, 0x1.9556797fced53p-2},
    {0x1.9aecba9d22528p-2, 0x1.8bf2ba104beccp-2},   {0x1.6a527901e8243p-2, 0x1.7cc794ec16300p-2},
    {0x1.3bf143b9aa712p-2, 0x1.6883d022086acp-2},   {0x1.105e82b1e4ca0p-2, 0x1.50096dcefd7c8p-2},
    {0x1.d0220056b3a4ep-3, 0x1.345d5efad3415p-2},   {0x1.86bb4f580a4bap-3, 0x1.169595e2ff286p-2},
    {0x1.44ed0bb7cb20bp-3, 0x1.ef8e58e331737p-3},   {0x1.0ad7da0f9b0b9p-3, 0x1.b1ec620324775p-3},
    {0x1.b0bdd12ba9c29p-4, 0x1.7610b9431f0c8p-3},   {0x1.5a61963dc9206p-4, 0x1.3d771214fa58dp-3},
    {0x1.11a46d89647efp-4, 0x1.0940856d21e84p-3},   {0x1.aaa65bfa4f82ep-5, 0x1.b46178964b20ep-4},
    {0x1.482a2414556ddp-5, 0x1.6164536bf162cp-4},   {0x1.f20394ecbf67bp-6, 0x1.19bfa3516daddp-4},
    {0x1.74bcf82c9d860p-6, 0x1.ba4b436e83ad4p-5},   {0x1.13243b7f38028p-6, 0x1.55c73f6773b10p-5},
    {0x1.90924f21d3612p-7, 0x1.0402dfd3dc1a2p-5},   {0x1.1f85a1c9b297ep-7, 0x1.857a94283500cp-6},
    {0x1.96f4e57e49ce4p-8, 0x1.1f2f0557f5256p-6},   {0x1.1bee6c07df146p-8, 0x1.a0f22be9d3248p-7},
    {0x1.86904349ec803p-9, 0x1.29fa54c6341e4p-7},   {0x1.08c890e7cdbf7p-9, 0x1.a34ea57d8ce36p-8},
    {0x1.61de1f985b5d7p-10, 0x1.227213fd77689p-8},  {0x1.d21af4ae0dd6dp-11, 0x1.8c2226d7ae536p-9},
    {0x1.2e86fd7d03406p-11, 0x1.09f38e18a2820p-9},  {0x1.8301be4097ac0p-12, 0x1.5f90f6ce87b37p-10},
    {0x1.e7dbc92b77dd5p-13, 0x1.c9897d147e61fp-11}, {0x1.2eff7fc311e78p-13, 0x1.251bf7a2b0faep-11},
    {0x1.72d9564b2dce0p-14, 0x1.71b92ecaaa791p-12}, {0x1.bf37663a4a43bp-15, 0x1.cb22072d20a39p-13},
    {0x1.09ad7954afff8p-15, 0x1.18a98e2c0b4b4p-13}, {0x1.36feaecd8d1e3p-16, 0x1.51cfa5ec5ce7dp-14},
    {0x1.66a5bcbf244eap-17, 0x1.904afdde8cca3p-15}, {0x1.9775b45c268bcp-18, 0x1.d2fa44486e8e6p-16},
    {0x1.c80728dd3b03ap-19, 0x1.0c29a533d0bc5p-16}, {0x1.f6c707d24b099p-20, 0x1.2f35fb1d3d065p-17},
    {0x1.11056da03cb85p-20, 0x1.518646fbb0c6cp-18}, {0x1.241499db1b218p-21, 0x1.71e57773b0b54p-19},
    {0x1.33ca2f2133831p-22, 0x1.8f16964c8fd3fp-20}, {0x1.3f7a8d8ed2701p-23, 0x1.a7e88797bf8dcp-21},
    {0x1.46a16cd7b7555p-24, 0x1.bb4a8be266ce5p-22}, {0x1.48eb8caab7cc6p-25, 0x1.c85f9e060c0ddp-23},
    {0x1.463cfa9c7fce7p-26, 0x1.ce8ec39250975p-24}, {0x1.3eb34524706c6p-27, 0x1.cd8ea2b41efb9p-25},
    {0x1.32a35e335e12bp-28, 0x1.c56b24c535bf5p-26}, {0x1.2293637785101p-29, 0x1.b6848b29cc3ddp-27},
    {0x1.0f30ef0092d48p-30, 0x1.a1880fbd087fcp-28}, {0x1.f289d4870f466p-32, 0x1.8762da2fe17bdp-29},
    {0x1.c34c28f35ea26p-33, 0x1.6930a864fa47bp-30}, {0x1.9256fc30ef212p-34, 0x1.4827ed8abcf99p-31},
    {0x1.61404b2da0191p-35, 0x1.258556ae47e79p-32}, {0x1.317156a77fb3bp-36, 0x1.0278913764ce1p-33},
    {0x1.041789eb749a0p-37, 0x1.c027cdafdb7eep-35}, {0x1.b437009ea26ddp-39, 0x1.7e7fa233a1a32p-36},
    {0x1.683c36759a444p-40, 0x1.41663f31db14bp-37}, {0x1.24f60a258d235p-41, 0x1.09df86034c0fdp-38},
    {0x1.d53e3e82da9c6p-43, 0x1.b10f57d25a805p-40}, {0x1.721278ef40b1fp-44, 0x1.5b3884a6c1e7ap-41},
    {0x1.1f68f3dbb818ap-45, 0x1.121483257eba0p-42}, {0x1.b79cff2b8cab9p-47, 0x1.a9fbf74f54cacp-44},
    {0x1.4b13ea9a9f5c3p-48, 0x1.45e8308d25d84p-45}, {0x1.eb0fed119b102p-50, 0x1.eaf366efc1181p-47},
    {0x1.669d2c90d55cep-51, 0x1.6c0df3a094834p-48}, {0x1.01e30a1d54c78p-52, 0x1.09c5986479c5dp-49},
    {0x1.6d3ba010ac799p-54, 0x1.7e07497086507p-51}, {0x1.fd59ae3f7142ep-56, 0x1.0e50138b69fbap-52},
    {0x1.5dbbaccf1a4e0p-57, 0x1.7899e4c2ad3a6p-54}, {0x1.d8eb99f7f7726p-59, 0x1.02462a0797463p-55},
    {0x1.3ada639cabc7ap-60, 0x1.5cc20ab7773eap-57}, {0x1.9cd063226c868p-62, 0x1.cfa409f1a6a97p-59},
    {0x1.0a7afbb1ee67cp-63, 0x1.2f67c5e7a9a39p-60},
};

#define TERMS 14 /* |h| <= 1/16: what follows is below 2^-50 of phi(x) for x <= 9 */
static const double inverse[TERMS] = {1.0,      1.0 / 2,  1.0 / 3,  1.0 / 4, 1.0 / 5,
                                      1.0 / 6,  1.0 / 7,  1.0 / 8,  1.0 / 9, 1.0 / 10,
                                      1.0 / 11, 1.0 / 12, 1.0 / 13, 1.0 / 14};

/* With phi(x + h) = phi(x) * sum c_n h^n: c_0 = 1, c_1 = -x, c_(n+1) = -(x c_n + c_(n-1)) / (n +
 * 1), from phi' = -x phi. Its integral gives Phi. */
struct normal normal_at(double z) {
    const double x = z < 0 ? -z : z;
    struct normal at = {1, 0};
    if (x < KNOTS / 8.0 - 0.0625) {
        const uint32_t k = (uint32_t)(x * 8 + 0.5);
        const double x0 = (double)k / 8, h = x - x0;
        double before = 0, term = 1, power = 1, sum = 0, integral = 0;
        for (int n = 0; n < TERMS; n++) {
            sum += term * power;
            power *= h;
            integral += term * power * inverse[n];
            const double next = -(x0 * term + before) * inverse[n];
            before = term;
            term = next;
        }
        at.below = 1 - (knot[k][0] - knot[k][1] * integral);
        at.density = knot[k][1] * sum;
        if (at.density < 0) at.density = 0;
    }
    if (z < 0) at.below = 1 - at.below;
    return at;
}

/* x = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh((m - 1) / (m + 1)), as a series. */
double log2_of(double x) {
    int32_t e = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p64;
        e = -64;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    e += (int32_t)(bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFF) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e++;
    }
    const double z = (m - 1) / (m + 1), z2 = z * z;
    double sum = 0;
    for (int n = 21; n >= 1; n -= 2) sum = sum * z2 + 1.0 / n;
    return (double)e + sum * z * 2.8853900817779268; /* 2 / ln 2 */
}
