#include "experiments/study/report/plot.h"

#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/formats/json.h"
#include "experiments/study/report/chart_library.h"

extern char** environ;

namespace ringmaster {
namespace {

constexpr char kFigureScript[] =
#include "experiments/study/report/figure_script.inc"
    ;

// Takes a UMD build's way for browsers, which sets a global, where Node.js would have it export a
// module.
std::string AsGlobal(const char* script) {
  return absl::StrCat("(function (module, exports, define, require) {\n", script, "\n})();\n");
}

std::string Script(const Json& chart, const Json& arms, const PlotOptions& options) {
  const ChartLibrary& library = EmbeddedChartLibrary();
  const Json request = {{"chart", chart},
                        {"arms", arms},
                        {"options", {{"dark", options.dark}, {"width", options.width}}}};
  return absl::StrCat(
      AsGlobal(library.vega), AsGlobal(library.vega_lite), kFigureScript,
      "\nconst request = ", request.DumpAscii(), ";\n",
      "const spec = figureSpec(request.chart, request.chart.panels, request.arms, "
      "request.options);\n"
      "new vega.View(vega.parse(vegaLite.compile(spec).spec), {renderer: 'none'}).toSVG().then(\n"
      "  svg => process.stdout.write(svg + '\\n'),\n"
      "  error => { console.error(error.message); process.exitCode = 1; });\n");
}

// Files rather than pipes: neither side ever waits for the other.
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

absl::StatusOr<File> Temporary() {
  File file(std::tmpfile(), std::fclose);
  if (file == nullptr)
    return absl::UnavailableError(absl::StrCat("cannot make a temporary file: ", ErrorText(errno)));
  return file;
}

std::string ReadAll(std::FILE* file) {
  std::rewind(file);
  std::string text;
  char buffer[1 << 16];
  for (size_t got; (got = std::fread(buffer, 1, sizeof(buffer), file)) > 0;)
    text.append(buffer, got);
  return text;
}

absl::Status NoNode(const std::string& node) {
  return absl::FailedPreconditionError(
      absl::StrCat("plot draws with Node.js, and there is no program \"", node,
                   "\" on the PATH: apt-get install nodejs (as root); report needs none"));
}

}  // namespace

absl::StatusOr<std::string> PlotSvg(const Json& chart, const Json& arms,
                                    const PlotOptions& options) {
  RM_RETURN_IF_ERROR(CheckChartLibrary());
  RM_ASSIGN_OR_RETURN(const File input, Temporary());
  RM_ASSIGN_OR_RETURN(const File output, Temporary());
  RM_ASSIGN_OR_RETURN(const File errors, Temporary());
  const std::string script = Script(chart, arms, options);
  if (std::fwrite(script.data(), 1, script.size(), input.get()) != script.size() ||
      std::fflush(input.get()) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot write a temporary file: ", ErrorText(errno)));
  }
  std::rewind(input.get());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(input.get()), 0);
  posix_spawn_file_actions_adddup2(&actions, fileno(output.get()), 1);
  posix_spawn_file_actions_adddup2(&actions, fileno(errors.get()), 2);
  // Signals that a thread of this program waits for are blocked in all others.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::string name = options.node, from_stdin = "-";
  char* arguments[] = {name.data(), from_stdin.data(), nullptr};
  pid_t pid = 0;
  const int failed =
      posix_spawnp(&pid, options.node.c_str(), &actions, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed == ENOENT) return NoNode(options.node);
  if (failed != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot start \"", options.node, "\": ", ErrorText(failed)));
  }
  int state = 0;
  while (waitpid(pid, &state, 0) < 0 && errno == EINTR) {
  }
  std::string svg = ReadAll(output.get());
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0 && absl::StartsWith(svg, "<svg")) return svg;
  std::string why = ReadAll(errors.get());
  if (why.size() > 600) why.resize(600);
  return absl::FailedPreconditionError(absl::StrCat(
      "Node.js (\"", options.node, "\") drew nothing: ", why.empty() ? "it said nothing" : why,
      "; expected version 16 or newer"));
}

}  // namespace ringmaster
