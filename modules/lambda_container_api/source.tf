# The image's source files, and their hash.
#
# The context is filtered as BuildKit filters it, by moby's patternmatcher: each rule of .dockerignore becomes a regular
# expression, and consecutive rules of one kind (ignore, or exception) are matched together, once, against all paths.
# A single fileset lists the context, so that neither rules nor ignored files cost much.

locals {
  build        = var.image.build
  builds       = nonsensitive(var.image.build != null)
  hashes_files = local.builds && nonsensitive(try(local.build.source_hash, null) == null)
  platform     = { arm64 = "linux/arm64", x86_64 = "linux/amd64" }[var.function.architecture]

  # Paths are no secrets, and messages contain them.
  context    = local.builds ? nonsensitive(local.build.context) : ""
  log_file   = local.builds ? nonsensitive(local.build.log_file) : null
  dockerfile = !local.builds ? "" : nonsensitive(startswith(local.build.dockerfile, "/") ? local.build.dockerfile : "${local.context}/${local.build.dockerfile}")
  contexts   = { for name, source in local.builds ? local.build.additional_contexts : {} : name => source if nonsensitive(source != null) }
  args       = { for name, value in local.builds ? local.build.args : {} : name => value if nonsensitive(value != null) }

  # The hash covers everything that changes the image: paths and contents, Dockerfile, arguments, target, platform.
  file_hashes = { for f in local.source_files : f => try(filesha256("${local.context}/${f}"), null) }
  content_hash = !local.builds ? null : !local.hashes_files ? local.build.source_hash : sha256(jsonencode({
    files      = local.file_hashes
    dockerfile = try(filesha256(local.dockerfile), null)
  }))
  # A hash cannot be reversed, so a secret argument stays secret.
  source_hash = !local.builds ? nonsensitive(split("@sha256:", var.image.uri)[1]) : nonsensitive(sha256(jsonencode(merge({
    content  = local.content_hash
    args     = local.args
    platform = local.platform
    target   = local.build.target
  }, length(local.contexts) == 0 ? {} : { contexts = local.contexts }))))

  # A <Dockerfile>.dockerignore takes precedence over the context's own, as in BuildKit.
  ignore_file = !local.hashes_files ? null : try([for f in ["${local.dockerfile}.dockerignore", "${local.context}/.dockerignore"] : f if fileexists(f)][0], null)
  ignore_text = local.ignore_file == null ? "" : try(file(local.ignore_file), null)

  ignore_lines = [
    for line in split("\n", trimprefix(coalesce(local.ignore_text, "\n"), "\ufeff")) : trimspace(line)
    if !startswith(line, "#") && trimspace(line) != ""
  ]
  # abspath cleans a path. Below a folder that cannot exist, so that a path outside the context never looks like one inside it.
  ignore_cleaned = [
    for path in [for line in local.ignore_lines : trimspace(trimprefix(line, "!"))] :
    path == "" ? "" : trimspace(startswith(path, "/") ? trimprefix(abspath(path), "/") : try(split("/\u0001/", abspath("/\u0001/${path}"))[1], ".."))
  ]
  ignore_rules = [
    for i, line in local.ignore_lines : {
      line    = line
      negated = startswith(line, "!") || startswith(local.ignore_cleaned[i], "!")
      pattern = startswith(line, "!") ? local.ignore_cleaned[i] : trimprefix(local.ignore_cleaned[i], "!")
    }
  ]
  # Literal text, apart from a ** at one end.
  ignore_plain = [for rule in local.ignore_rules : can(regex("^(\\*\\*[^*?\\\\\\[\\]]*|[^*?\\\\\\[\\]]*(\\*\\*)?)$", rule.pattern))]
  ignore_tokens = [
    for rule in local.ignore_rules : regexall("(?s)\\\\.|\\[(?:\\\\.|[^\\]\\\\])*\\]|\\*\\*/?|.", rule.pattern)
  ]
  # As patternmatcher translates them, including its quirks: in literal text with a ** at one end, ** is any text;
  # elsewhere ** is any number of whole folders. No path contains \x00, so no match spans two paths.
  ignore_translated = [
    for i, rule in local.ignore_rules : join("", [
      for n, token in local.ignore_tokens[i] :
      local.ignore_plain[i] ? (
        token == "**" ? "[^\\x00]*" : token == "**/" ? "(?:[^\\x00]*/)?" : replace(token, "/[.+()|{}$^]/", "\\$0")
      ) :
      startswith(token, "**") ? n > 0 && n == length(local.ignore_tokens[i]) - 1 ? "[^\\n\\x00]*" : "(?:[^\\n\\x00]*/)?" :
      token == "*" ? "[^/\\x00]*" :
      token == "?" ? "[^/\\x00]" :
      token == "|" ? "[^\\x00]*|[^\\x00]*" :
      token == "^" && n == 0 ? "" :
      startswith(token, "[") ? join("", [
        for c in regexall("(?s)^\\[\\^|\\\\.|.", token) : c == "[^" ? "[^\\x00" : c == "*" ? "[^/\\x00]*" : c == "?" ? "[^/\\x00]" : c
      ]) :
      can(regex("^\\\\[DSW]$", token)) ? "[^\\x00${lower(token)}]" :
      startswith(token, "\\") ? token : replace(token, "/[.+()$]/", "\\$0")
    ])
  ]
  # Docker checks a rule with Go's filepath.Match, and then compiles what it became.
  ignore_refused = [
    for i, rule in local.ignore_rules : rule.line
    if anytrue([
      !can(regex("(?s)^([^\\\\\\[]|\\\\.|\\[(\\^([^\\\\\\]-]|\\\\.)(-([^\\\\\\]-]|\\\\.))?|([^\\\\\\]^-]|\\\\.)(-([^\\\\\\]-]|\\\\.))?)(([^\\\\\\]-]|\\\\.)(-([^\\\\\\]-]|\\\\.))?)*\\])*$", rule.pattern)),
      rule.negated && rule.pattern == "",
      !can(regexall("(?:${local.ignore_translated[i]})", "")),
    ])
  ]

  # fileset expands wildcards in the folder's name as well. (Both sides of ?: are always evaluated, hence the list of one or none.)
  context_root          = abspath(local.context)
  context_has_wildcards = can(regex("[*?{}\\[\\]\\\\]", local.context))
  listed = !local.hashes_files ? [] : [local.context_has_wildcards ? {
    from = "/", pattern = "${replace(local.context_root, "/[*?{}\\[\\]\\\\]/", "\\$0")}/**", prefix = trimprefix("${local.context_root}/", "/")
    } : {
    from = local.context, pattern = "**", prefix = ""
  }]
  # During the build the log is in the context, so it counts as there.
  log_file_inside = try(local.hashes_files && startswith(abspath(local.log_file), "${local.context_root}/"), false) ? trimprefix(abspath(local.log_file), "${local.context_root}/") : null
  # Long lists are slow and text is fast, so paths stay one text until few are left: each between two \x00, with a leading slash.
  listing = join("", concat(
    [for l in local.listed : replace("\u0000/${join("\u0000\u0000/", fileset(l.from, l.pattern))}\u0000", "\u0000/${l.prefix}", "\u0000/")],
    [for f in [local.log_file_inside] : "\u0000/${f}\u0000" if f != null],
  ))

  # Runs of rules of one kind. The first run ignores: an exception before any ignore rule has no effect.
  ignore_starts = [for i, rule in local.ignore_rules : i if i == 0 ? !rule.negated : rule.negated != local.ignore_rules[i - 1].negated]
  ignore_runs = length(local.ignore_refused) > 0 ? [] : [
    for n, start in local.ignore_starts :
    "(?:${join("|", [for rule in slice(local.ignore_translated, start, try(local.ignore_starts[n + 1], length(local.ignore_rules))) : "(?:${rule})"])})"
  ]
  ignore_exceptions = [for n, run in local.ignore_runs : run if n % 2 == 1]

  # What the first run ignores and no exception matches is dropped at once: "-" in place of a path's slash marks it.
  ignored    = length(local.ignore_runs) == 0 ? local.listing : replace(local.listing, "/\\x00/(${local.ignore_runs[0]}(?:/[^\\x00]*)?)\\x00/", "\u0000-$1\u0000")
  restored   = length(local.ignore_exceptions) == 0 ? local.ignored : replace(local.ignored, "/\\x00-((?:${join("|", local.ignore_exceptions)})(?:/[^\\x00]*)?)\\x00/", "\u0000/$1\u0000")
  remaining  = replace(local.restored, "/\\x00-[^\\x00]*\\x00/", "")
  candidates = toset(compact(split("\u0000", replace(local.remaining, "\u0000/", "\u0000"))))

  # With exceptions, order matters. Docker matches its rules against each folder, and then against what is in it.
  folders = { for folder in keys(merge([for f in length(local.ignore_exceptions) == 0 ? [] : local.candidates : {
    for n in range(length(split("/", f)) - 1) : join("/", slice(split("/", f), 0, n + 1)) => true
  }]...)) : folder => [for n in range(length(split("/", folder))) : join("/", slice(split("/", folder), 0, n + 1))] }
  paths = join("", concat([local.remaining], [for folder in keys(local.folders) : "\u0000/${folder}\u0000"]))

  # Run number (odd runs ignore) → all paths that the run matches.
  ignore_hits = { for n, run in length(local.ignore_exceptions) == 0 ? [] : local.ignore_runs : n + 1 => [
    for hit in regexall("\\x00/(${run})\\x00", local.paths) : hit[0]
  ] }
  # A run marks a path that it matches, unless the path or a folder above it is marked by the same kind already: so an exception
  # for a folder has no effect below it when the folder was never ignored. Each run depends on the marks of earlier runs.
  # Terraform cannot carry a value through a loop, so the loop is unrolled as nested expressions and evaluated as a template.
  ignore_loop = join("", concat(
    ["$${jsonencode("],
    [for n in keys(local.ignore_hits) : "[for marks in ["],
    ["{}"],
    [for n in sort([for n in keys(local.ignore_hits) : format("%06d", n)]) : format(
      "] : merge(marks, { for p in hits[\"%d\"] : p => %d if %d != max(0, [for a in concat(try(folders[dirname(p)], []), [p]) : try(marks[a], 0)]...) %% 2 })][0]", n, n, n % 2
    )],
    [")}"],
  ))
  ignore_marks   = jsondecode(templatestring(local.ignore_loop, { hits = local.ignore_hits, folders = local.folders }))
  ignore_folders = { for folder, above in local.folders : folder => max(0, [for a in above : try(local.ignore_marks[a], 0)]...) }
  sent_files     = [for f in local.candidates : f if max(try(local.ignore_folders[dirname(f)], 0), try(local.ignore_marks[f], 0)) % 2 == 0]

  source_files = [for f in local.sent_files : f if f != local.log_file_inside]

  unhashed_files = [for f, hash in local.file_hashes : f if hash == null]
  # Not .terraform.lock.hcl, which only terraform init changes.
  terraform_files = [for f in local.sent_files : f if f == local.log_file_inside || can(regex("(^|/)(\\.terraform/.*|[^/]*\\.tfstate(\\.[^/]*)?|[^/]*tfplan)$", f))]
}
