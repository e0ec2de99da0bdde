#include "auditkit/matching.hpp"
