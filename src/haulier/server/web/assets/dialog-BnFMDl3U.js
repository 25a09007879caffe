import{a as e,t as r,D as a}from"./index-BNCtzEJ9.js";function o({file:i,close:t}){return e(a,{title:r("versions.title"),close:t,children:e("p",{children:i.name})})}export{o as default};
