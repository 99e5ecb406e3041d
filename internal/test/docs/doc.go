// Package docs checks the Markdown pages of the repository:
//
//   - Relative links lead to a file, and so do links to the repository on GitHub and to its packages
//     on pkg.go.dev. Anchors lead to a heading.
//   - A block of Go code consists of lines of one Go file, which is compiled with its own module.
//     Indentation does not matter. A line "…" stands for any number of lines. To write about code,
//     put it into an Example or an example program, and quote it.
//   - A block of JSON is valid.
//   - The go command in a block or between backquotes names directories, packages and tests that exist.
//     It is meant to run in the root of the repository.
//   - A section that links to docs/performance.md has only figures of that page. A figure is a number
//     with a unit of time or size, "%" or "×".
package docs
