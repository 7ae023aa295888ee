/* The model that is linked into this very program. */
#include "api.h"
#include "fail.h"

#define MODEL_FUNCTION_ADDRESS(name) .name = name,

void api_load(model_api *api, const char *bundle, const char *library) {
  (void)bundle;
  if (library != NULL)
    fail(EXIT_USAGE, "--library cannot be used; this runner has its model built in");
  *api = (model_api){MODEL_FUNCTIONS(MODEL_FUNCTION_ADDRESS)};
}
