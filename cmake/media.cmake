# The libraries that read images, audio and video: only lapidary-media links them.
if(NOT LAPIDARY_MEDIA)
  return()
endif()

find_package(PkgConfig)
if(NOT PKG_CONFIG_FOUND)
  message(FATAL_ERROR "pkg-config is missing, which finds the libraries of lapidary-media. "
                      "scripts/setup installs it; -DLAPIDARY_MEDIA=OFF builds a server for text.")
endif()

# find_media_library(TARGET MODULE VERSION PACKAGE): PkgConfig::TARGET, or which Debian package to install.
function(find_media_library target module version package)
  pkg_check_modules(${target} QUIET IMPORTED_TARGET GLOBAL "${module}>=${version}")
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR "${module} ${version} or newer is missing (Debian: ${package}). scripts/setup "
                        "installs it; -DLAPIDARY_MEDIA=OFF builds a server for text.")
  endif()
endfunction()

find_media_library(LIBJPEG libjpeg 2.1 libjpeg-dev)
find_media_library(LIBPNG libpng 1.6.31 libpng-dev)
find_media_library(LIBWEBP libwebp 1.2 libwebp-dev)
find_media_library(LIBWEBPDEMUX libwebpdemux 1.2 libwebp-dev)
find_media_library(LIBAVFORMAT libavformat 59.27 libavformat-dev)
find_media_library(LIBAVCODEC libavcodec 59.37 libavcodec-dev)
find_media_library(LIBAVUTIL libavutil 57.28 libavutil-dev)
find_media_library(LIBSWRESAMPLE libswresample 4.7 libswresample-dev)
find_media_library(LIBSWSCALE libswscale 6.7 libswscale-dev)
find_media_library(LIBSECCOMP libseccomp 2.5 libseccomp-dev)

# giflib has no .pc file everywhere.
find_path(GIF_INCLUDE_DIR gif_lib.h)
find_library(GIF_LIBRARY gif)
if(NOT GIF_INCLUDE_DIR OR NOT GIF_LIBRARY)
  message(FATAL_ERROR "giflib is missing (Debian: libgif-dev). scripts/setup installs it; "
                      "-DLAPIDARY_MEDIA=OFF builds a server for text.")
endif()
