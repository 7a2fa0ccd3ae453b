# Compiler and linker flags. The presets choose: SANITIZE, HARDEN, COVERAGE, FUZZ.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

function(flags_warnings)
  # Errors from the first line on; a warning that may stay is one that nobody reads.
  add_compile_options(
    -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wformat=2 -Wvla -Wcast-qual -Wswitch-enum)
endfunction()

function(flags_sanitize kinds)
  add_compile_options(-fsanitize=${kinds} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${kinds})
endfunction()

function(flags_harden)
  add_compile_options(-fstack-protector-strong -ftrivial-auto-var-init=zero)
  # Level 3 also checks sizes that are known only at run time; it needs gcc 12 and glibc 2.34.
  # An option, not a definition: CMake puts definitions first, where -U would undo them.
  set(CMAKE_REQUIRED_FLAGS "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
  check_c_source_compiles("
    #include <string.h>
    #if __USE_FORTIFY_LEVEL < 3
    #error
    #endif
    int main(void) { return 0; }" HAVE_FORTIFY_3)
  unset(CMAKE_REQUIRED_FLAGS)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$<IF:$<BOOL:${HAVE_FORTIFY_3}>,3,2>)
  foreach(flag -fcf-protection=full -mbranch-protection=standard -fstack-clash-protection)
    string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
    check_c_compiler_flag(${flag} ${have})
    if(${have})
      add_compile_options(${flag})
    endif()
  endforeach()
  # No build paths in what we ship.
  add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code)
endfunction()

function(flags_coverage)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endfunction()
