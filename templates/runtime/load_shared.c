/* The model from <bundle>/lib/libmodel.so. */
#include "api.h"
#include "fail.h"
#include "paths.h"

#include <dlfcn.h>
#include <stdlib.h>

static void *symbol(void *library, const char *path, const char *name) {
  void *address = dlsym(library, name);
  if (address == NULL)
    fail(EXIT_START, "%s has no function %s; it is not a model library of this runner's version",
         path, name);
  return address;
}

#define MODEL_FUNCTION_LOOKUP(name) *(void **)&api->name = symbol(library, path, #name);

void api_load(model_api *api, const char *bundle, const char *library_path) {
  char *path =
      library_path ? path_format("%s", library_path) : path_format("%s/lib/libmodel.so", bundle);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL)
    fail(EXIT_START, "cannot load the model library; %s", dlerror());
  MODEL_FUNCTIONS(MODEL_FUNCTION_LOOKUP)
  free(path);
}
