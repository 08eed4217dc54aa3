package config

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// A layer is a setting that may come from the file, the environment or a flag.
type layer struct {
	key   string // in the file
	flag  string
	env   string
	value string // the default
	help  string
	field func(*Config) *string
}

var layers = []layer{
	{"http.listen", "http-listen", "CROSSFADE_HTTP_LISTEN", "127.0.0.1:7117", "address of the console, or off",
		func(c *Config) *string { return &c.HTTP.Listen }},
	{"log.level", "log-level", "CROSSFADE_LOG_LEVEL", "info", "debug, info, warn or error",
		func(c *Config) *string { return &c.Log.Level }},
	{"log.format", "log-format", "CROSSFADE_LOG_FORMAT", "auto", "auto, text or json",
		func(c *Config) *string { return &c.Log.Format }},
}

// AddFlags adds the flags of the layered settings.
func AddFlags(flags *pflag.FlagSet) {
	for _, s := range layers {
		flags.String(s.flag, "", s.help+" (default \""+s.value+"\")")
	}
}

// layer decides the layered settings: defaults, then the file, then the
// environment, then flags.
func (l *loader) layer(c *Config, flags *pflag.FlagSet) {
	v := viper.New()
	for _, s := range layers {
		v.SetDefault(s.key, s.value)
		_ = v.BindEnv(s.key, s.env) // fails only without a key
		if f := lookup(flags, s.flag); f != nil {
			_ = v.BindPFlag(s.key, f) // fails only without a flag
		}
		if written := *s.field(c); written != "" {
			section, name, _ := strings.Cut(s.key, ".")
			_ = v.MergeConfigMap(map[string]any{section: map[string]any{name: written}}) // fails never
		}
	}
	for _, s := range layers {
		*s.field(c) = v.GetString(s.key)
		switch f := lookup(flags, s.flag); {
		case f != nil && f.Changed:
			l.layered[s.key] = "--" + s.flag
		case os.Getenv(s.env) != "":
			l.layered[s.key] = s.env
		}
	}
}

func lookup(flags *pflag.FlagSet, name string) *pflag.Flag {
	if flags == nil {
		return nil
	}
	return flags.Lookup(name)
}

// failLayered reports a mistake in a layered setting at what decided it.
func (l *loader) failLayered(key, format string, args ...any) {
	if by := l.layered[key]; by != "" {
		l.errs = append(l.errs, &Error{Path: by, Text: RedactURLs(fmt.Sprintf(format, args...))})
		return
	}
	l.failAt(key, format, args...)
}
