// What scrolls sideways must be reachable by keyboard, and say what it is.
const reachable = () => document.querySelectorAll('.bd-article pre, .bd-article .cell_output, .bd-article table.dataframe, .bd-article table.fastprogress, .bd-article .math, .pst-scrollable-table-container').forEach(box => {
  if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0; else if (box.tabIndex === 0) box.removeAttribute('tabindex');
});
addEventListener('load', reachable);
addEventListener('resize', reachable);
document.addEventListener('toggle', reachable, true);

// The theme's buttons that unfold a part of the table of contents have no name for those who cannot see them.
document.querySelectorAll('nav summary').forEach(button => { if (!button.textContent.trim()) button.setAttribute('aria-label', 'Show or hide the pages below'); });
