// The host build of every op.
#include "common/export.h"
#include "common/launch.h"
#include "ops/accumulate.inc"
#include "ops/composite.inc"
#include "ops/flow_sample.inc"
#include "ops/hash_encode.inc"
#include "ops/march.inc"
#include "ops/mlp.inc"
