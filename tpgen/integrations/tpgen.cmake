# tpgen for CMake 3.20 or later. Find it without pkg-config:
#
#   find_program(TPGEN tpgen REQUIRED)
#   execute_process(COMMAND ${TPGEN} build --cmake-dir OUTPUT_VARIABLE dir OUTPUT_STRIP_TRAILING_WHITESPACE
#                   COMMAND_ERROR_IS_FATAL ANY)
#   include(${dir}/tpgen.cmake)
#
# tpgen_generate(<name> [CONFIG <tpgen.toml>] [OUTPUT_DIR <dir>] [SOURCE_OPTIONS <option>...])
#
#   Adds a target <name> that keeps the files of tpgen.toml up to date below OUTPUT_DIR, by default
#   ${CMAKE_CURRENT_BINARY_DIR}/<name>. SOURCE_OPTIONS, such as --btf FILE, are the kernel of whatever names none there.
#
#   Sets in the caller's scope:
#     <name>_STAMP        depend on it: a file that changes if, and only if, one of the generated ones does
#     <name>_OUTPUT_DIR   where they are
#
# A custom command that uses the headers has `DEPENDS ${<name>_STAMP}`. Any other target has
# `add_dependencies(<target> <name>)` and gets to its headers by itself.

include_guard(GLOBAL)

function(tpgen_generate name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "CONFIG;OUTPUT_DIR" "SOURCE_OPTIONS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "tpgen_generate: unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    find_program(TPGEN tpgen REQUIRED)

    if(NOT arg_CONFIG)
        set(arg_CONFIG tpgen.toml)
    endif()
    get_filename_component(config "${arg_CONFIG}" ABSOLUTE)
    if(NOT arg_OUTPUT_DIR)
        set(arg_OUTPUT_DIR "${name}")
    endif()
    get_filename_component(output_dir "${arg_OUTPUT_DIR}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_BINARY_DIR}")

    # tpgen leaves the stamp alone where nothing changed, and both ninja and make look at it again when tpgen has run:
    # what depends on it is then left alone as well.
    set(stamp "${CMAKE_CURRENT_BINARY_DIR}/${name}.stamp")
    set(depfile "${CMAKE_CURRENT_BINARY_DIR}/${name}.d")
    add_custom_command(
        OUTPUT "${stamp}"
        COMMAND "${TPGEN}" build "${config}" -o "${output_dir}" --stamp "${stamp}" --depfile "${depfile}"
                ${arg_SOURCE_OPTIONS}
        DEPENDS "${config}"
        DEPFILE "${depfile}"
        COMMENT "Generating what ${arg_CONFIG} asks for"
        VERBATIM
    )
    add_custom_target("${name}" DEPENDS "${stamp}")
    set("${name}_STAMP" "${stamp}" PARENT_SCOPE)
    set("${name}_OUTPUT_DIR" "${output_dir}" PARENT_SCOPE)
endfunction()
