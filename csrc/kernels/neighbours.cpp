#include "auditkit/neighbours.hpp"
