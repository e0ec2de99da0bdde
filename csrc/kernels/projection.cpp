#include "auditkit/projection.hpp"
