// The headers, each on its own terms, in a standard that no test is written for yet.
#include <qsgd_fit.hpp>
#include <qsgd_stages.hpp>

int main() { return qsgd::try_selftest() ? 0 : 1; }
