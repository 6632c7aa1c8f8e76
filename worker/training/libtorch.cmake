# LibTorch (2.6 or later) as IMPORTED targets, without its own find_package (which wants a CUDA toolkit).
# ORCHESTRATE_TORCH_ROOT: a folder made by `pip install --target`, or site-packages (both hold torch/ and nvidia/),
# or a plain LibTorch folder (include/ and lib/).
set(ORCHESTRATE_TORCH_ROOT ${CMAKE_SOURCE_DIR}/.deps/torch CACHE PATH
    "Folder that holds torch/ and nvidia/ of the PyPI wheels, or an unpacked LibTorch")

if(EXISTS ${ORCHESTRATE_TORCH_ROOT}/torch/include/ATen/ATen.h)
    set(orchestrate_libtorch ${ORCHESTRATE_TORCH_ROOT}/torch)
elseif(EXISTS ${ORCHESTRATE_TORCH_ROOT}/include/ATen/ATen.h)
    set(orchestrate_libtorch ${ORCHESTRATE_TORCH_ROOT})
else()
    message(FATAL_ERROR
        "LibTorch was not found in ${ORCHESTRATE_TORCH_ROOT}.\n"
        "Run ./setup (it installs the pinned wheel there), or name another LibTorch >= 2.6 with "
        "-DORCHESTRATE_TORCH_ROOT=FOLDER, or build without training: -DORCHESTRATE_TRAINING=OFF.")
endif()

file(STRINGS ${orchestrate_libtorch}/include/torch/headeronly/version.h version_lines REGEX "define TORCH_VERSION_M")
if(NOT version_lines)
    file(STRINGS ${orchestrate_libtorch}/include/torch/csrc/api/include/torch/version.h version_lines
         REGEX "define TORCH_VERSION_M")
endif()
string(REGEX REPLACE ".*TORCH_VERSION_MAJOR ([0-9]+).*" "\\1" version_major "${version_lines}")
string(REGEX REPLACE ".*TORCH_VERSION_MINOR ([0-9]+).*" "\\1" version_minor "${version_lines}")
set(orchestrate_libtorch_version ${version_major}.${version_minor})
if(orchestrate_libtorch_version VERSION_LESS 2.6)
    message(FATAL_ERROR "LibTorch ${orchestrate_libtorch_version} in ${orchestrate_libtorch} is too old: 2.6 is needed.")
endif()
message(STATUS "LibTorch ${orchestrate_libtorch_version}: ${orchestrate_libtorch}")

# Where the shared objects of the wheels lie: for RPATH.
file(GLOB orchestrate_torch_library_folders ${ORCHESTRATE_TORCH_ROOT}/nvidia/*/lib)
list(PREPEND orchestrate_torch_library_folders ${orchestrate_libtorch}/lib)

foreach(library c10 torch_cpu c10_cuda torch_cuda)
    set(file ${orchestrate_libtorch}/lib/lib${library}.so)
    if(EXISTS ${file})
        add_library(orchestrate_torch::${library} SHARED IMPORTED GLOBAL)
        set_target_properties(orchestrate_torch::${library} PROPERTIES IMPORTED_LOCATION ${file})
        target_include_directories(orchestrate_torch::${library} SYSTEM INTERFACE
            ${orchestrate_libtorch}/include ${orchestrate_libtorch}/include/torch/csrc/api/include)
    endif()
endforeach()
# LibTorch runs its kernels in OpenMP threads; code that uses at::parallel_for must agree, on the library too (the
# wheels bring their own).
find_package(OpenMP REQUIRED COMPONENTS CXX)
file(GLOB orchestrate_torch_openmp ${orchestrate_libtorch}/lib/libgomp*.so*)
add_library(orchestrate_torch INTERFACE)
target_link_libraries(orchestrate_torch INTERFACE orchestrate_torch::torch_cpu orchestrate_torch::c10)
if(orchestrate_torch_openmp)
    list(GET orchestrate_torch_openmp 0 orchestrate_torch_openmp)
    target_compile_options(orchestrate_torch INTERFACE ${OpenMP_CXX_FLAGS})
    target_link_libraries(orchestrate_torch INTERFACE ${orchestrate_torch_openmp})
else()
    target_link_libraries(orchestrate_torch INTERFACE OpenMP::OpenMP_CXX)
endif()
# The wheels that LibTorch itself loads are found by its own RPATH at run time; the linker need not check them.
target_link_options(orchestrate_torch INTERFACE -Wl,--allow-shlib-undefined)
