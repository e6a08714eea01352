# The shared and the static library, from qsgd_objects, and their names, which an installed package
# has too: qsgd::shared and qsgd::static, and qsgd::qsgd for the one that is meant.

# Which kinds there are: in a parent the one that BUILD_SHARED_LIBS asks for; at the top level both,
# unless it is set. QSGD_SHARED_LIB and QSGD_STATIC_LIB overrule that. They are not cached where they
# are not given, so that a later BUILD_SHARED_LIBS is heeded.
set(default_shared ON)
set(default_static ON)
if(NOT PROJECT_IS_TOP_LEVEL OR DEFINED BUILD_SHARED_LIBS)
  if(BUILD_SHARED_LIBS)
    set(default_static OFF)
  else()
    set(default_shared OFF)
  endif()
endif()
foreach(kind shared static)
  string(TOUPPER QSGD_${kind}_LIB option)
  if(NOT DEFINED ${option})
    set(${option} ${default_${kind}})
  endif()
endforeach()
get_property(can_share GLOBAL PROPERTY TARGET_SUPPORTS_SHARED_LIBS)
if(NOT can_share)
  set(QSGD_SHARED_LIB OFF)
endif()
if(NOT QSGD_SHARED_LIB AND NOT QSGD_STATIC_LIB)
  message(FATAL_ERROR "qsgd: neither QSGD_SHARED_LIB nor QSGD_STATIC_LIB is on")
endif()
if(QSGD_SHARED_LIB OR NOT DEFINED CMAKE_POSITION_INDEPENDENT_CODE)
  set_target_properties(qsgd_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
endif()

# Until 1.0 every minor version may break programs, and says so in its SONAME.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(abi_version 0.${PROJECT_VERSION_MINOR})
else()
  set(abi_version ${PROJECT_VERSION_MAJOR})
endif()

# The C library's fenv.h, where that is what src/base/fpenv.h takes, may live in libm.
include(CheckCSourceCompiles)
include(CMakePushCheckState)
cmake_push_check_state(RESET)
set(CMAKE_REQUIRED_INCLUDES ${CMAKE_CURRENT_SOURCE_DIR}/src)
string(JOIN " " CMAKE_REQUIRED_FLAGS ${exact_flags_C})
check_c_source_compiles("#include \"base/fpenv.h\"
int main(void) { fpenv_leave(fpenv_enter()); return 0; }" QSGD_LINKS_WITHOUT_LIBM)
cmake_pop_check_state()

if(QSGD_SHARED_LIB)
  configure_file(cmake/libqsgd.map.in libqsgd.map @ONLY)
  add_library(qsgd_shared SHARED $<TARGET_OBJECTS:qsgd_objects>)
  add_library(qsgd::shared ALIAS qsgd_shared)
  set_target_properties(qsgd_shared PROPERTIES EXPORT_NAME shared
    VERSION ${PROJECT_VERSION} SOVERSION ${abi_version}
    LINK_DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/libqsgd.map)
  if(CMAKE_SYSTEM_NAME MATCHES "^(Linux|Android|GNU|.*BSD)$")
    if(NOT QSGD_ENCODER) # what is left of its functions goes
      target_compile_options(qsgd_objects PRIVATE -ffunction-sections -fdata-sections)
      target_link_options(qsgd_shared PRIVATE -Wl,--gc-sections)
    endif()
    target_link_options(qsgd_shared PRIVATE
      -Wl,--version-script=${CMAKE_CURRENT_BINARY_DIR}/libqsgd.map)
  endif()
endif()

# Objects of a DLL say what they export. A static library's must not: a DLL that has them inside would
# export them, and of its own only what is marked, too.
set(static_objects qsgd_objects)
if(WIN32 AND QSGD_SHARED_LIB)
  set(static_objects qsgd_static_objects)
  add_library(qsgd_static_objects OBJECT ${sources})
  foreach(property COMPILE_OPTIONS COMPILE_DEFINITIONS INCLUDE_DIRECTORIES C_STANDARD
      C_STANDARD_REQUIRED C_EXTENSIONS UNITY_BUILD)
    get_target_property(value qsgd_objects ${property})
    set_property(TARGET qsgd_static_objects PROPERTY ${property} ${value})
  endforeach()
endif()
if(WIN32)
  target_compile_definitions(${static_objects} PRIVATE QSGD_STATIC)
endif()

# Tests, benchmarks and the Python module link it in any case.
add_library(qsgd_static STATIC $<TARGET_OBJECTS:${static_objects}>)
set_target_properties(qsgd_static PROPERTIES EXPORT_NAME static)
target_compile_definitions(qsgd_static INTERFACE QSGD_STATIC)
if(QSGD_STATIC_LIB)
  add_library(qsgd::static ALIAS qsgd_static)
else()
  set_target_properties(qsgd_static PROPERTIES EXCLUDE_FROM_ALL ON)
endif()

foreach(target qsgd_shared qsgd_static)
  if(TARGET ${target})
    # There are only objects, so that the language is not known; a parent may have asked for more.
    set_target_properties(${target} PROPERTIES OUTPUT_NAME qsgd LINKER_LANGUAGE C)
    target_include_directories(${target} PUBLIC
      $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>)
    if(NOT QSGD_LINKS_WITHOUT_LIBM)
      target_link_libraries(${target} PRIVATE m)
    endif()
  endif()
endforeach()
if(MSVC) # whose import library would have the static library's name
  set_target_properties(qsgd_static PROPERTIES OUTPUT_NAME qsgd_static)
endif()

# Of both the one that BUILD_SHARED_LIBS says, shared if it says nothing: as qsgdConfig.cmake has it.
if(QSGD_SHARED_LIB AND (BUILD_SHARED_LIBS OR NOT DEFINED BUILD_SHARED_LIBS OR NOT QSGD_STATIC_LIB))
  add_library(qsgd::qsgd ALIAS qsgd_shared)
else()
  add_library(qsgd::qsgd ALIAS qsgd_static)
endif()
