// Package config reads the one YAML file that a bridge is configured by.
//
//	file ──► yaml nodes ──► strict pass ──► layers ──► checks ──► adapters' own blocks ──► Config
//	              │          (struct tags)   (viper:     (names,      (bridge.Decode)
//	              │                           env, flags) references)
//	              └── every error keeps file:line:col, and all are reported at once
//
// The strict pass goes over the nodes against the Go structs by their `yaml`
// tags, so an unknown key, a wrong type, a key that is there twice or a duration
// without unit is an error with its place and a hint. The blocks of systems, and
// of from and to, belong to the adapters: this package takes name and kind of a
// system and system of from and to for itself, and hands the rest on as a
// bridge.Decode, with the same strictness.
//
// Any text may hold ${env:NAME} and ${file:PATH}; a relative PATH is relative to
// the folder of the file, and one line break at the end of its content is cut
// off. "$${" is a literal "${". References are resolved after the YAML is read,
// so what they stand for is never read as YAML.
//
// The settings of http and log come in layers: defaults, then the file, then the
// environment (CROSSFADE_HTTP_LISTEN, …), then flags.
//
// What is printed is redacted: fields of type bridge.Secret, text of keys that
// speak of passwords, passwords inside URLs, and comments, which may hold all of
// them. References are printed as they are written and not as what they stand for.
package config
