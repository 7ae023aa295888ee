# Gives boardwright::model (shared), boardwright::model-static, and boardwright-model_WEIGHTS, the
# path to pass as bw_options.weights_path (empty where the library embeds its weights).
include(CMakeFindDependencyMacro)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_dependency(Threads)

get_filename_component(_boardwright_bundle "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET boardwright::model)
  add_library(boardwright::model SHARED IMPORTED)
  set_target_properties(boardwright::model PROPERTIES
    IMPORTED_LOCATION "${_boardwright_bundle}/lib/libmodel.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_boardwright_bundle}/include")

  add_library(boardwright::model-static STATIC IMPORTED)
  set_target_properties(boardwright::model-static PROPERTIES
    IMPORTED_LOCATION "${_boardwright_bundle}/lib/libmodel.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_boardwright_bundle}/include"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;m")
endif()

set(boardwright-model_WEIGHTS "")
if(EXISTS "${_boardwright_bundle}/share/weights.bin")
  set(boardwright-model_WEIGHTS "${_boardwright_bundle}/share/weights.bin")
endif()
unset(_boardwright_bundle)
